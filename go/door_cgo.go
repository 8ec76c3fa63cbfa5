package larder

// The slow door, and the only file of this package that calls C.

/*
#include <string.h>
#include "larder_go.h"

// Untyped parameters: see rule 5 of the type call.
static inline size_t go_larder_get(void *call) { return larder_call_get(call); }
static inline size_t go_larder_set(void *call) { return larder_call_set(call); }
static inline size_t go_larder_delete(void *call) { return larder_call_delete(call); }
static inline larder_status go_larder_get_many(void *call) { return larder_get_many(call); }
static inline larder_status go_larder_set_many(void *call) { return larder_set_many(call); }
static inline larder_status go_larder_delete_many(void *call) { return larder_delete_many(call); }

// The operations without a fast door. One struct for all, so that a Go pointer to Go
// memory crosses as one untyped pointer: rule 5 again.
typedef struct go_larder_long {
	const larder_cache *cache;
	const uint8_t *key;
	size_t key_len;
	uint8_t *buf;
	size_t buf_len;
	size_t out_len;
	const larder_set_options *options;
	uint64_t flags;
	uint64_t number;
	uint64_t out;
	uint64_t state;
	uint64_t ttl_ms;
} go_larder_long;

static inline larder_status go_larder_get_with(void *call) {
	go_larder_long *a = call;
	larder_entry_info info = { .struct_size = sizeof info };
	larder_status st = larder_get_with(a->cache, a->key, a->key_len, a->buf, a->buf_len, &a->out_len, a->flags, &info);
	a->out = info.version;
	a->state = info.state;
	a->ttl_ms = info.ttl_ms;
	return st;
}
static inline larder_status go_larder_add(void *call) {
	go_larder_long *a = call;
	return larder_add(a->cache, a->key, a->key_len, a->buf, a->buf_len, a->options);
}
static inline larder_status go_larder_compare_and_swap(void *call) {
	go_larder_long *a = call;
	return larder_compare_and_swap(a->cache, a->key, a->key_len, a->buf, a->buf_len, a->number, a->options, &a->out);
}
static inline larder_status go_larder_touch(void *call) {
	go_larder_long *a = call;
	return larder_touch(a->cache, a->key, a->key_len, a->number);
}
static inline larder_status go_larder_increment(void *call) {
	go_larder_long *a = call;
	int64_t value = 0;
	larder_status st = larder_increment(a->cache, a->key, a->key_len, (int64_t)a->number, a->options, &value);
	a->out = (uint64_t)value;
	return st;
}
static inline larder_status go_larder_release_lease(void *call) {
	go_larder_long *a = call;
	return larder_release_lease(a->cache, a->key, a->key_len);
}
static inline larder_status go_larder_mark_stale(void *call) {
	go_larder_long *a = call;
	return larder_mark_stale(a->cache, a->key, a->key_len);
}
// The key is a tag; a flag other than 0 means softly.
static inline larder_status go_larder_invalidate_tag(void *call) {
	go_larder_long *a = call;
	return larder_invalidate_tag(a->cache, a->key, a->key_len, a->flags != 0);
}
// The stamp is older than the load: what is invalidated while it runs counts.
static inline larder_status go_larder_load_begin(void *call) {
	go_larder_long *a = call;
	larder_status st = larder_stamp(a->cache, &a->number);
	if (st != LARDER_OK) return st;
	return larder_load_begin(a->cache, a->key, a->key_len, &a->out);
}
static inline larder_status go_larder_load_end(void *call) {
	go_larder_long *a = call;
	return larder_load_end(a->cache, a->key, a->key_len, a->number, a->buf, a->buf_len, a->options);
}
static inline larder_status go_larder_load_cancel(void *call) {
	go_larder_long *a = call;
	return larder_load_cancel(a->cache, a->key, a->key_len, a->number);
}

// What was wrong with an option is known to the thread that was told so.
static inline larder_status go_larder_why(larder_status st, char why[128]) {
	if (st == LARDER_INVALID_ARGUMENT) strncpy(why, larder_invalid_option(), 127);
	return st;
}
static inline larder_status go_larder_new(const larder_options *options, larder_cache **out, char why[128]) {
	return go_larder_why(larder_new(options, out), why);
}
static inline larder_status go_larder_namespace(const larder_cache *cache, const uint8_t *name, size_t len,
		const larder_namespace_options *options, larder_cache **out, char why[128]) {
	return go_larder_why(larder_namespace(cache, name, len, options, out), why);
}
static inline larder_status go_larder_resize(const larder_cache *cache, uint64_t max_bytes, char why[128]) {
	return go_larder_why(larder_resize(cache, max_bytes), why);
}

// The core neither keeps what it is passed nor calls back.
#cgo noescape go_larder_get
#cgo nocallback go_larder_get
#cgo noescape go_larder_set
#cgo nocallback go_larder_set
#cgo noescape go_larder_delete
#cgo nocallback go_larder_delete
#cgo noescape go_larder_get_many
#cgo nocallback go_larder_get_many
#cgo noescape go_larder_set_many
#cgo nocallback go_larder_set_many
#cgo noescape go_larder_delete_many
#cgo nocallback go_larder_delete_many
#cgo noescape go_larder_get_with
#cgo nocallback go_larder_get_with
#cgo noescape go_larder_add
#cgo nocallback go_larder_add
#cgo noescape go_larder_compare_and_swap
#cgo nocallback go_larder_compare_and_swap
#cgo noescape go_larder_touch
#cgo nocallback go_larder_touch
#cgo noescape go_larder_increment
#cgo nocallback go_larder_increment
#cgo noescape go_larder_release_lease
#cgo nocallback go_larder_release_lease
#cgo noescape go_larder_mark_stale
#cgo nocallback go_larder_mark_stale
#cgo noescape go_larder_invalidate_tag
#cgo nocallback go_larder_invalidate_tag
#cgo noescape go_larder_load_begin
#cgo nocallback go_larder_load_begin
#cgo noescape go_larder_load_end
#cgo nocallback go_larder_load_end
#cgo noescape go_larder_load_cancel
#cgo nocallback go_larder_load_cancel
#cgo noescape go_larder_new
#cgo nocallback go_larder_new
#cgo nocallback larder_close
#cgo nocallback larder_free
#cgo nocallback larder_clear
#cgo noescape go_larder_resize
#cgo nocallback go_larder_resize
#cgo noescape larder_len
#cgo nocallback larder_len
#cgo noescape larder_stats
#cgo nocallback larder_stats
#cgo noescape larder_iterate
#cgo nocallback larder_iterate
#cgo noescape larder_events
#cgo nocallback larder_events
#cgo noescape larder_view
#cgo nocallback larder_view
#cgo noescape larder_view_release
#cgo nocallback larder_view_release
#cgo noescape go_larder_namespace
#cgo nocallback go_larder_namespace
#cgo nocallback larder_mock_clock_new
#cgo nocallback larder_mock_clock_set
#cgo nocallback larder_mock_clock_free
#cgo nocallback larder_status_message
*/
import "C"

import (
	"runtime"
	"strings"
	"unsafe"
)

// status is a larder_status.
type status int32

const (
	statusOK              status = C.LARDER_OK
	statusNotFound        status = C.LARDER_NOT_FOUND
	statusBufferTooSmall  status = C.LARDER_BUFFER_TOO_SMALL
	statusBusy            status = C.LARDER_BUSY
	statusExists          status = C.LARDER_EXISTS
	statusConflict        status = C.LARDER_CONFLICT
	statusSuperseded      status = C.LARDER_SUPERSEDED
	statusInvalidArgument status = C.LARDER_INVALID_ARGUMENT
	statusKeyTooLarge     status = C.LARDER_KEY_TOO_LARGE
	statusValueTooLarge   status = C.LARDER_VALUE_TOO_LARGE
	statusClosed          status = C.LARDER_CLOSED
	statusOutOfMemory     status = C.LARDER_OUT_OF_MEMORY
	statusFull            status = C.LARDER_FULL
	statusPanic           status = C.LARDER_PANIC
	statusNotANumber      status = C.LARDER_NOT_A_NUMBER
)

// flagTTL says that the entry lives for ttlMS rather than for the cache's default.
const flagTTL = C.LARDER_CALL_TTL

// flagState makes a get report the entry's state, take the lease of a stale one if it is
// free, and find absent ones.
const flagState = C.LARDER_CALL_STATE

// flagQuiet makes a get by the slow door no read: it counts as nothing.
const flagQuiet = C.LARDER_CALL_QUIET

// Flags of entryOptions.
const (
	optionTTL     = C.LARDER_SET_TTL
	optionSliding = C.LARDER_SET_SLIDING
	optionAbsent  = C.LARDER_SET_ABSENT
	optionAsOf    = C.LARDER_SET_AS_OF
)

// Flags of getWith.
const (
	getLease   = C.LARDER_GET_LEASE
	getVersion = C.LARDER_GET_VERSION
	getQuiet   = C.LARDER_GET_QUIET
)

// The functions behind the fast door.
var (
	fastGet    = uintptr(unsafe.Pointer(C.larder_fast_get))
	fastSet    = uintptr(unsafe.Pointer(C.larder_fast_set))
	fastDelete = uintptr(unsafe.Pointer(C.larder_fast_delete))

	fastGetMany    = uintptr(unsafe.Pointer(C.larder_fast_get_many))
	fastSetMany    = uintptr(unsafe.Pointer(C.larder_fast_set_many))
	fastDeleteMany = uintptr(unsafe.Pointer(C.larder_fast_delete_many))
)

func (s status) message() string {
	return C.GoString(C.larder_status_message(C.int32_t(s)))
}

// Numbers and layouts agree, or this doesn't compile: the only index into same is 0.
var same [1]struct{}

var (
	_ = same[LRU-C.LARDER_POLICY_LRU]
	_ = same[S3FIFO-C.LARDER_POLICY_S3FIFO]
	_ = same[Cellar-C.LARDER_POLICY_CELLAR]

	_ = same[EventEvicted-C.LARDER_EVENT_EVICTED]
	_ = same[EventExpired-C.LARDER_EVENT_EXPIRED]
	_ = same[EventRejected-C.LARDER_EVENT_REJECTED]
	_ = same[EventDeleted-C.LARDER_EVENT_DELETED]
	_ = same[EventOverwritten-C.LARDER_EVENT_OVERWRITTEN]
	_ = same[EventInvalidated-C.LARDER_EVENT_INVALIDATED]

	_ = same[unsafe.Sizeof(call{})-unsafe.Sizeof(C.larder_call{})]
	_ = same[unsafe.Offsetof(call{}.cache)-unsafe.Offsetof(C.larder_call{}.cache)]
	_ = same[unsafe.Offsetof(call{}.key)-unsafe.Offsetof(C.larder_call{}.key)]
	_ = same[unsafe.Offsetof(call{}.keyLen)-unsafe.Offsetof(C.larder_call{}.key_len)]
	_ = same[unsafe.Offsetof(call{}.buf)-unsafe.Offsetof(C.larder_call{}.buf)]
	_ = same[unsafe.Offsetof(call{}.bufLen)-unsafe.Offsetof(C.larder_call{}.buf_len)]
	_ = same[unsafe.Offsetof(call{}.outLen)-unsafe.Offsetof(C.larder_call{}.out_len)]
	_ = same[unsafe.Offsetof(call{}.ttlMS)-unsafe.Offsetof(C.larder_call{}.ttl_ms)]
	_ = same[unsafe.Offsetof(call{}.flags)-unsafe.Offsetof(C.larder_call{}.flags)]
	_ = same[unsafe.Offsetof(call{}.options)-unsafe.Offsetof(C.larder_call{}.options)]
	_ = same[unsafe.Offsetof(call{}.state)-unsafe.Offsetof(C.larder_call{}.state)]

	_ = same[Fresh-C.LARDER_FRESH]
	_ = same[Stale-C.LARDER_STALE]
	_ = same[Refresh-C.LARDER_REFRESH]
	_ = same[Absent-C.LARDER_ABSENT]

	_ = same[unsafe.Sizeof(entryOptions{})-unsafe.Sizeof(C.larder_set_options{})]
	_ = same[unsafe.Offsetof(entryOptions{}.structSize)-unsafe.Offsetof(C.larder_set_options{}.struct_size)]
	_ = same[unsafe.Offsetof(entryOptions{}.flags)-unsafe.Offsetof(C.larder_set_options{}.flags)]
	_ = same[unsafe.Offsetof(entryOptions{}.ttlMS)-unsafe.Offsetof(C.larder_set_options{}.ttl_ms)]
	_ = same[unsafe.Offsetof(entryOptions{}.staleMS)-unsafe.Offsetof(C.larder_set_options{}.stale_ms)]
	_ = same[unsafe.Offsetof(entryOptions{}.tags)-unsafe.Offsetof(C.larder_set_options{}.tags)]
	_ = same[unsafe.Offsetof(entryOptions{}.tagEnds)-unsafe.Offsetof(C.larder_set_options{}.tag_ends)]
	_ = same[unsafe.Offsetof(entryOptions{}.tagCount)-unsafe.Offsetof(C.larder_set_options{}.tag_count)]
	_ = same[unsafe.Offsetof(entryOptions{}.asOf)-unsafe.Offsetof(C.larder_set_options{}.as_of)]

	_ = same[unsafe.Sizeof(longCall{})-unsafe.Sizeof(C.go_larder_long{})]
	_ = same[unsafe.Offsetof(longCall{}.cache)-unsafe.Offsetof(C.go_larder_long{}.cache)]
	_ = same[unsafe.Offsetof(longCall{}.key)-unsafe.Offsetof(C.go_larder_long{}.key)]
	_ = same[unsafe.Offsetof(longCall{}.keyLen)-unsafe.Offsetof(C.go_larder_long{}.key_len)]
	_ = same[unsafe.Offsetof(longCall{}.buf)-unsafe.Offsetof(C.go_larder_long{}.buf)]
	_ = same[unsafe.Offsetof(longCall{}.bufLen)-unsafe.Offsetof(C.go_larder_long{}.buf_len)]
	_ = same[unsafe.Offsetof(longCall{}.outLen)-unsafe.Offsetof(C.go_larder_long{}.out_len)]
	_ = same[unsafe.Offsetof(longCall{}.options)-unsafe.Offsetof(C.go_larder_long{}.options)]
	_ = same[unsafe.Offsetof(longCall{}.flags)-unsafe.Offsetof(C.go_larder_long{}.flags)]
	_ = same[unsafe.Offsetof(longCall{}.number)-unsafe.Offsetof(C.go_larder_long{}.number)]
	_ = same[unsafe.Offsetof(longCall{}.out)-unsafe.Offsetof(C.go_larder_long{}.out)]
	_ = same[unsafe.Offsetof(longCall{}.state)-unsafe.Offsetof(C.go_larder_long{}.state)]
	_ = same[unsafe.Offsetof(longCall{}.ttlMS)-unsafe.Offsetof(C.go_larder_long{}.ttl_ms)]

	_ = same[unsafe.Sizeof(manyCall{})-unsafe.Sizeof(C.larder_many{})]
	_ = same[unsafe.Offsetof(manyCall{}.cache)-unsafe.Offsetof(C.larder_many{}.cache)]
	_ = same[unsafe.Offsetof(manyCall{}.keys)-unsafe.Offsetof(C.larder_many{}.keys)]
	_ = same[unsafe.Offsetof(manyCall{}.keyEnds)-unsafe.Offsetof(C.larder_many{}.key_ends)]
	_ = same[unsafe.Offsetof(manyCall{}.n)-unsafe.Offsetof(C.larder_many{}.n)]
	_ = same[unsafe.Offsetof(manyCall{}.values)-unsafe.Offsetof(C.larder_many{}.values)]
	_ = same[unsafe.Offsetof(manyCall{}.valueEnds)-unsafe.Offsetof(C.larder_many{}.value_ends)]
	_ = same[unsafe.Offsetof(manyCall{}.buf)-unsafe.Offsetof(C.larder_many{}.buf)]
	_ = same[unsafe.Offsetof(manyCall{}.bufLen)-unsafe.Offsetof(C.larder_many{}.buf_len)]
	_ = same[unsafe.Offsetof(manyCall{}.outEnds)-unsafe.Offsetof(C.larder_many{}.out_ends)]
	_ = same[unsafe.Offsetof(manyCall{}.outStatus)-unsafe.Offsetof(C.larder_many{}.out_status)]
	_ = same[unsafe.Offsetof(manyCall{}.done)-unsafe.Offsetof(C.larder_many{}.done)]
	_ = same[unsafe.Offsetof(manyCall{}.used)-unsafe.Offsetof(C.larder_many{}.used)]
	_ = same[unsafe.Offsetof(manyCall{}.need)-unsafe.Offsetof(C.larder_many{}.need)]
	_ = same[unsafe.Offsetof(manyCall{}.ttlMS)-unsafe.Offsetof(C.larder_many{}.ttl_ms)]
	_ = same[unsafe.Offsetof(manyCall{}.flags)-unsafe.Offsetof(C.larder_many{}.flags)]
)

// nocheckptr: with -asan (and -d=checkptr=2) the compiler checks what is converted to
// unsafe.Pointer, and puts it on the heap to do so. There cgo would find Go pointers in it.

//go:nocheckptr
func (a *call) slowGet() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_get(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *call) slowSet() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_set(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *call) slowDelete() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_delete(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (m *manyCall) slowGet() status {
	if m.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(m)
	st := C.go_larder_get_many(p)
	runtime.KeepAlive(m)
	return status(st)
}

//go:nocheckptr
func (m *manyCall) slowSet() status {
	if m.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(m)
	st := C.go_larder_set_many(p)
	runtime.KeepAlive(m)
	return status(st)
}

//go:nocheckptr
func (m *manyCall) slowDelete() status {
	if m.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(m)
	st := C.go_larder_delete_many(p)
	runtime.KeepAlive(m)
	return status(st)
}

//go:nocheckptr
func (a *longCall) getWith() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_get_with(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) add() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_add(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) compareAndSwap() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_compare_and_swap(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) touch() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_touch(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) increment() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_increment(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) releaseLease() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_release_lease(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) markStale() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_mark_stale(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) invalidateTag() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_invalidate_tag(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) loadBegin() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_load_begin(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) loadEnd() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_load_end(p)
	runtime.KeepAlive(a)
	return status(st)
}

//go:nocheckptr
func (a *longCall) loadCancel() status {
	if a.cache.p == nil {
		return statusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_load_cancel(p)
	runtime.KeepAlive(a)
	return status(st)
}

// newHandle makes a cache; or says why the options are invalid.
func newHandle(o *Options, clock *follower) (handle, string, status) {
	options := C.larder_options{
		max_bytes:      C.uint64_t(o.MaxBytes),
		max_entries:    C.uint64_t(o.MaxEntries),
		default_ttl_ms: C.uint64_t(millis(max(o.DefaultTTL, 0))),
		policy:         C.uint32_t(o.Policy),
		stripes:        C.uint32_t(o.Stripes),
		event_bytes:    C.uint64_t(o.EventBytes),
		events:         C.uint64_t(o.Events),
		ttl_jitter:     C.double(o.TTLJitter),
	}
	if o.Sliding {
		options.sliding = 1
	}
	if clock != nil {
		options.clock = clock.mock
	}
	options.struct_size = C.size_t(unsafe.Sizeof(options))
	var out *C.larder_cache
	var why [128]C.char
	st := C.go_larder_new(&options, &out, &why[0])
	runtime.KeepAlive(clock)
	return handle{unsafe.Pointer(out)}, optionNames.Replace(C.GoString(&why[0])), status(st)
}

// optionNames are what the core calls the options, and Go.
var optionNames = strings.NewReplacer("max_bytes", "MaxBytes", "event_bytes", "EventBytes",
	"ttl_jitter", "TTLJitter", "default_ttl", "DefaultTTL", "stripes", "Stripes")

func (h handle) namespace(name *byte, nameLen int, o *NamespaceOptions) (handle, string, status) {
	options := C.larder_namespace_options{
		max_bytes:      C.uint64_t(o.MaxBytes),
		max_entries:    C.uint64_t(o.MaxEntries),
		default_ttl_ms: C.uint64_t(millis(max(o.DefaultTTL, 0))),
		policy:         C.uint32_t(o.Policy),
		stripes:        C.uint32_t(o.Stripes),
	}
	options.struct_size = C.size_t(unsafe.Sizeof(options))
	var out *C.larder_cache
	var why [128]C.char
	st := C.go_larder_namespace(h.c(), (*C.uint8_t)(name), C.size_t(nameLen), &options, &out, &why[0])
	return handle{unsafe.Pointer(out)}, optionNames.Replace(C.GoString(&why[0])), status(st)
}

func (h handle) c() *C.larder_cache { return (*C.larder_cache)(h.p) }

func (h handle) free() { C.larder_free(h.c()) }

func (h handle) close() { C.larder_close(h.c()) }

func (h handle) clear() { C.larder_clear(h.c()) }

func (h handle) resize(maxBytes uint64) (string, status) {
	if h.p == nil {
		return "", statusClosed
	}
	var why [128]C.char
	st := C.go_larder_resize(h.c(), C.uint64_t(maxBytes), &why[0])
	return optionNames.Replace(C.GoString(&why[0])), status(st)
}

func (h handle) len() int {
	var n C.uint64_t
	if status(C.larder_len(h.c(), &n)) != statusOK {
		return 0
	}
	return int(n)
}

func (h handle) stats() Stats {
	var s C.larder_stats_t
	s.struct_size = C.size_t(unsafe.Sizeof(s))
	if status(C.larder_stats(h.c(), &s)) != statusOK {
		return Stats{}
	}
	return Stats{
		Hits:             uint64(s.hits),
		Misses:           uint64(s.misses),
		Sets:             uint64(s.sets),
		Deletes:          uint64(s.deletes),
		Evictions:        uint64(s.evictions),
		Expirations:      uint64(s.expirations),
		Rejections:       uint64(s.rejections),
		Invalidations:    uint64(s.invalidations),
		Entries:          int64(s.entries),
		Bytes:            int64(s.bytes),
		MaxBytes:         int64(s.max_bytes),
		LiveBytes:        int64(s.live_bytes),
		DeadBytes:        int64(s.dead_bytes),
		IndexBytes:       int64(s.index_bytes),
		BookkeepingBytes: int64(s.bookkeeping_bytes),
		FreeBytes:        int64(s.free_bytes),
		HugePageBytes:    int64(s.huge_page_bytes),
		AppendedBytes:    uint64(s.appended_bytes),
		CopiedBytes:      uint64(s.copied_bytes),
		DroppedEvents:    uint64(s.dropped_events),
		OwnBytes:         int64(s.own_bytes),
		Namespaces:       int(s.namespaces),
	}
}

// cursor is the place of an iteration; the zero value is the beginning.
type cursor C.larder_cursor

// iterate fills block with records and says how many bytes they take, or how many the
// next one needs.
func (h handle) iterate(at *cursor, block []byte) (int, status) {
	var n C.size_t
	st := C.larder_iterate(h.c(), (*C.larder_cursor)(at), (*C.uint8_t)(unsafe.SliceData(block)), C.size_t(len(block)), &n)
	return int(n), status(st)
}

// events fills block with records of events, as iterate does with those of entries.
func (h handle) events(at *cursor, block []byte) (int, status) {
	var n C.size_t
	st := C.larder_events(h.c(), (*C.larder_cursor)(at), (*C.uint8_t)(unsafe.SliceData(block)), C.size_t(len(block)), &n, nil)
	return int(n), status(st)
}

// borrowed is a value of the core's that stays where it is until it is given back.
type borrowed struct{ view C.larder_view_t }

func (h handle) borrow(key *byte, keyLen int) (borrowed, status) {
	var b borrowed
	st := C.larder_view(h.c(), (*C.uint8_t)(key), C.size_t(keyLen), &b.view)
	return b, status(st)
}

func (b *borrowed) giveBack() { C.larder_view_release(&b.view) }

func (b *borrowed) bytes() []byte { return unsafe.Slice((*byte)(b.view.data), b.view.len) }

// A mockClock is a larder_mock_clock of the core's.
type mockClock = *C.larder_mock_clock

func newMockClock() mockClock { return C.larder_mock_clock_new() }

func freeMockClock(c mockClock) { C.larder_mock_clock_free(c) }

func setMockClock(c mockClock, millis uint64) { C.larder_mock_clock_set(c, C.uint64_t(millis)) }
