package capi

// The slow path, and the only file that calls C.

/*
#define _GNU_SOURCE
#include <string.h>
#ifdef __linux__
#include <link.h>
#endif
#include "larder_go.h"

// Untyped parameters: see rule 5 of the type call.
static inline size_t go_larder_get(void *call) { return larder_call_get(call); }
static inline size_t go_larder_set(void *call) { return larder_call_set(call); }
static inline size_t go_larder_delete(void *call) { return larder_call_delete(call); }
static inline larder_status go_larder_get_many(void *call) { return larder_get_many(call); }
static inline larder_status go_larder_set_many(void *call) { return larder_set_many(call); }
static inline larder_status go_larder_delete_many(void *call) { return larder_delete_many(call); }

// The operations without a fast path. One struct for all, so that a Go pointer to Go
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

// go_larder_in_program reports whether the core's code lies in the main program, and all that
// is to be bound of it was bound when it was loaded.
#ifdef __linux__
typedef struct go_larder_place {
	uintptr_t code;
	bool in_program;
} go_larder_place;

static inline bool go_larder_bound(const struct dl_phdr_info *object, const ElfW(Phdr) *dynamic) {
	if (dynamic == NULL) return true; // linked statically
	for (const ElfW(Dyn) *d = (const ElfW(Dyn) *)(object->dlpi_addr + dynamic->p_vaddr); d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_BIND_NOW) return true;
		if (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_BIND_NOW) return true;
		if (d->d_tag == DT_FLAGS_1 && d->d_un.d_val & DF_1_NOW) return true;
	}
	return false;
}
static int go_larder_look(struct dl_phdr_info *object, size_t size, void *data) {
	go_larder_place *place = data;
	const ElfW(Phdr) *dynamic = NULL;
	bool within = false;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		if (p->p_type == PT_DYNAMIC) dynamic = p;
		uintptr_t start = object->dlpi_addr + p->p_vaddr;
		within |= p->p_type == PT_LOAD && place->code - start < p->p_memsz;
	}
	place->in_program = within && go_larder_bound(object, dynamic);
	(void)size;
	return 1; // the first is the program; no other is asked for
}
static inline bool go_larder_in_program(void) {
	go_larder_place place = { .code = (uintptr_t)larder_fast_get };
	dl_iterate_phdr(go_larder_look, &place);
	return place.in_program;
}
#else
static inline bool go_larder_in_program(void) { return false; } // nobody asks
#endif

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

// Status is a larder_status.
type Status int32

const (
	StatusOK              Status = C.LARDER_OK
	StatusNotFound        Status = C.LARDER_NOT_FOUND
	StatusBufferTooSmall  Status = C.LARDER_BUFFER_TOO_SMALL
	StatusBusy            Status = C.LARDER_BUSY
	StatusExists          Status = C.LARDER_EXISTS
	StatusConflict        Status = C.LARDER_CONFLICT
	StatusSuperseded      Status = C.LARDER_SUPERSEDED
	StatusInvalidArgument Status = C.LARDER_INVALID_ARGUMENT
	StatusKeyTooLarge     Status = C.LARDER_KEY_TOO_LARGE
	StatusValueTooLarge   Status = C.LARDER_VALUE_TOO_LARGE
	StatusClosed          Status = C.LARDER_CLOSED
	StatusOutOfMemory     Status = C.LARDER_OUT_OF_MEMORY
	StatusFull            Status = C.LARDER_FULL
	StatusPanic           Status = C.LARDER_PANIC
	StatusNotANumber      Status = C.LARDER_NOT_A_NUMBER
)

// What the header says of the core; init compares.
const (
	Version = C.LARDER_VERSION
	ABI     = C.LARDER_ABI_VERSION
)

// FlagTTL says that the entry lives for ttlMS rather than for the cache's default.
const FlagTTL = C.LARDER_CALL_TTL

// FlagState makes a get report the entry's state, take the lease of a stale one if it is
// free, and find absent ones.
const FlagState = C.LARDER_CALL_STATE

// FlagQuiet makes a get by the slow path no read: it counts as nothing.
const FlagQuiet = C.LARDER_CALL_QUIET

// Flags of EntryOptions.
const (
	OptionTTL     = C.LARDER_SET_TTL
	OptionSliding = C.LARDER_SET_SLIDING
	OptionAbsent  = C.LARDER_SET_ABSENT
	OptionAsOf    = C.LARDER_SET_AS_OF
)

// Flags of GetWith.
const (
	GetLease   = C.LARDER_GET_LEASE
	GetVersion = C.LARDER_GET_VERSION
	GetQuiet   = C.LARDER_GET_QUIET
)

// Numbers that package larder has under its own names, and compares.
const (
	PolicyLRU    = C.LARDER_POLICY_LRU
	PolicyS3FIFO = C.LARDER_POLICY_S3FIFO
	PolicyCellar = C.LARDER_POLICY_CELLAR

	EventEvicted     = C.LARDER_EVENT_EVICTED
	EventExpired     = C.LARDER_EVENT_EXPIRED
	EventRejected    = C.LARDER_EVENT_REJECTED
	EventDeleted     = C.LARDER_EVENT_DELETED
	EventOverwritten = C.LARDER_EVENT_OVERWRITTEN
	EventInvalidated = C.LARDER_EVENT_INVALIDATED

	Fresh   = C.LARDER_FRESH
	Stale   = C.LARDER_STALE
	Refresh = C.LARDER_REFRESH
	Absent  = C.LARDER_ABSENT
)

// Where the functions behind the fast path are.
var (
	FastGetAt    = uintptr(unsafe.Pointer(C.larder_fast_get))
	FastSetAt    = uintptr(unsafe.Pointer(C.larder_fast_set))
	FastDeleteAt = uintptr(unsafe.Pointer(C.larder_fast_delete))

	FastGetManyAt    = uintptr(unsafe.Pointer(C.larder_fast_get_many))
	FastSetManyAt    = uintptr(unsafe.Pointer(C.larder_fast_set_many))
	FastDeleteManyAt = uintptr(unsafe.Pointer(C.larder_fast_delete_many))
)

// Message is the status in words.
func (s Status) Message() string {
	return C.GoString(C.larder_status_message(C.int32_t(s)))
}

// Numbers and layouts agree, or this doesn't compile: the only index into same is 0.
var same [1]struct{}

var (
	_ = same[unsafe.Sizeof(Call{})-unsafe.Sizeof(C.larder_call{})]
	_ = same[unsafe.Offsetof(Call{}.Cache)-unsafe.Offsetof(C.larder_call{}.cache)]
	_ = same[unsafe.Offsetof(Call{}.Key)-unsafe.Offsetof(C.larder_call{}.key)]
	_ = same[unsafe.Offsetof(Call{}.KeyLen)-unsafe.Offsetof(C.larder_call{}.key_len)]
	_ = same[unsafe.Offsetof(Call{}.Buf)-unsafe.Offsetof(C.larder_call{}.buf)]
	_ = same[unsafe.Offsetof(Call{}.BufLen)-unsafe.Offsetof(C.larder_call{}.buf_len)]
	_ = same[unsafe.Offsetof(Call{}.OutLen)-unsafe.Offsetof(C.larder_call{}.out_len)]
	_ = same[unsafe.Offsetof(Call{}.TTLMS)-unsafe.Offsetof(C.larder_call{}.ttl_ms)]
	_ = same[unsafe.Offsetof(Call{}.Flags)-unsafe.Offsetof(C.larder_call{}.flags)]
	_ = same[unsafe.Offsetof(Call{}.Options)-unsafe.Offsetof(C.larder_call{}.options)]
	_ = same[unsafe.Offsetof(Call{}.State)-unsafe.Offsetof(C.larder_call{}.state)]

	_ = same[unsafe.Sizeof(EntryOptions{})-unsafe.Sizeof(C.larder_set_options{})]
	_ = same[unsafe.Offsetof(EntryOptions{}.StructSize)-unsafe.Offsetof(C.larder_set_options{}.struct_size)]
	_ = same[unsafe.Offsetof(EntryOptions{}.Flags)-unsafe.Offsetof(C.larder_set_options{}.flags)]
	_ = same[unsafe.Offsetof(EntryOptions{}.TTLMS)-unsafe.Offsetof(C.larder_set_options{}.ttl_ms)]
	_ = same[unsafe.Offsetof(EntryOptions{}.StaleMS)-unsafe.Offsetof(C.larder_set_options{}.stale_ms)]
	_ = same[unsafe.Offsetof(EntryOptions{}.Tags)-unsafe.Offsetof(C.larder_set_options{}.tags)]
	_ = same[unsafe.Offsetof(EntryOptions{}.TagEnds)-unsafe.Offsetof(C.larder_set_options{}.tag_ends)]
	_ = same[unsafe.Offsetof(EntryOptions{}.TagCount)-unsafe.Offsetof(C.larder_set_options{}.tag_count)]
	_ = same[unsafe.Offsetof(EntryOptions{}.AsOf)-unsafe.Offsetof(C.larder_set_options{}.as_of)]

	_ = same[unsafe.Sizeof(LongCall{})-unsafe.Sizeof(C.go_larder_long{})]
	_ = same[unsafe.Offsetof(LongCall{}.Cache)-unsafe.Offsetof(C.go_larder_long{}.cache)]
	_ = same[unsafe.Offsetof(LongCall{}.Key)-unsafe.Offsetof(C.go_larder_long{}.key)]
	_ = same[unsafe.Offsetof(LongCall{}.KeyLen)-unsafe.Offsetof(C.go_larder_long{}.key_len)]
	_ = same[unsafe.Offsetof(LongCall{}.Buf)-unsafe.Offsetof(C.go_larder_long{}.buf)]
	_ = same[unsafe.Offsetof(LongCall{}.BufLen)-unsafe.Offsetof(C.go_larder_long{}.buf_len)]
	_ = same[unsafe.Offsetof(LongCall{}.OutLen)-unsafe.Offsetof(C.go_larder_long{}.out_len)]
	_ = same[unsafe.Offsetof(LongCall{}.Options)-unsafe.Offsetof(C.go_larder_long{}.options)]
	_ = same[unsafe.Offsetof(LongCall{}.Flags)-unsafe.Offsetof(C.go_larder_long{}.flags)]
	_ = same[unsafe.Offsetof(LongCall{}.Number)-unsafe.Offsetof(C.go_larder_long{}.number)]
	_ = same[unsafe.Offsetof(LongCall{}.Out)-unsafe.Offsetof(C.go_larder_long{}.out)]
	_ = same[unsafe.Offsetof(LongCall{}.State)-unsafe.Offsetof(C.go_larder_long{}.state)]
	_ = same[unsafe.Offsetof(LongCall{}.TTLMS)-unsafe.Offsetof(C.go_larder_long{}.ttl_ms)]

	_ = same[unsafe.Sizeof(ManyCall{})-unsafe.Sizeof(C.larder_many{})]
	_ = same[unsafe.Offsetof(ManyCall{}.Cache)-unsafe.Offsetof(C.larder_many{}.cache)]
	_ = same[unsafe.Offsetof(ManyCall{}.Keys)-unsafe.Offsetof(C.larder_many{}.keys)]
	_ = same[unsafe.Offsetof(ManyCall{}.KeyEnds)-unsafe.Offsetof(C.larder_many{}.key_ends)]
	_ = same[unsafe.Offsetof(ManyCall{}.N)-unsafe.Offsetof(C.larder_many{}.n)]
	_ = same[unsafe.Offsetof(ManyCall{}.Values)-unsafe.Offsetof(C.larder_many{}.values)]
	_ = same[unsafe.Offsetof(ManyCall{}.ValueEnds)-unsafe.Offsetof(C.larder_many{}.value_ends)]
	_ = same[unsafe.Offsetof(ManyCall{}.Buf)-unsafe.Offsetof(C.larder_many{}.buf)]
	_ = same[unsafe.Offsetof(ManyCall{}.BufLen)-unsafe.Offsetof(C.larder_many{}.buf_len)]
	_ = same[unsafe.Offsetof(ManyCall{}.OutEnds)-unsafe.Offsetof(C.larder_many{}.out_ends)]
	_ = same[unsafe.Offsetof(ManyCall{}.OutStatus)-unsafe.Offsetof(C.larder_many{}.out_status)]
	_ = same[unsafe.Offsetof(ManyCall{}.Done)-unsafe.Offsetof(C.larder_many{}.done)]
	_ = same[unsafe.Offsetof(ManyCall{}.Used)-unsafe.Offsetof(C.larder_many{}.used)]
	_ = same[unsafe.Offsetof(ManyCall{}.Need)-unsafe.Offsetof(C.larder_many{}.need)]
	_ = same[unsafe.Offsetof(ManyCall{}.TTLMS)-unsafe.Offsetof(C.larder_many{}.ttl_ms)]
	_ = same[unsafe.Offsetof(ManyCall{}.Flags)-unsafe.Offsetof(C.larder_many{}.flags)]
)

// nocheckptr: with -asan (and -d=checkptr=2) the compiler checks what is converted to
// unsafe.Pointer, and puts it on the heap to do so. There cgo would find Go pointers in it.

// SlowGet is larder_call_get.
//
//go:nocheckptr
func (a *Call) SlowGet() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_get(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// SlowSet is larder_call_set.
//
//go:nocheckptr
func (a *Call) SlowSet() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_set(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// SlowDelete is larder_call_delete.
//
//go:nocheckptr
func (a *Call) SlowDelete() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_delete(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// SlowGet is larder_get_many.
//
//go:nocheckptr
func (m *ManyCall) SlowGet() Status {
	if m.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(m)
	st := C.go_larder_get_many(p)
	runtime.KeepAlive(m)
	return Status(st)
}

// SlowSet is larder_set_many.
//
//go:nocheckptr
func (m *ManyCall) SlowSet() Status {
	if m.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(m)
	st := C.go_larder_set_many(p)
	runtime.KeepAlive(m)
	return Status(st)
}

// SlowDelete is larder_delete_many.
//
//go:nocheckptr
func (m *ManyCall) SlowDelete() Status {
	if m.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(m)
	st := C.go_larder_delete_many(p)
	runtime.KeepAlive(m)
	return Status(st)
}

// GetWith is larder_get_with.
//
//go:nocheckptr
func (a *LongCall) GetWith() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_get_with(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// Add is larder_add.
//
//go:nocheckptr
func (a *LongCall) Add() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_add(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// CompareAndSwap is larder_compare_and_swap.
//
//go:nocheckptr
func (a *LongCall) CompareAndSwap() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_compare_and_swap(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// Touch is larder_touch.
//
//go:nocheckptr
func (a *LongCall) Touch() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_touch(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// Increment is larder_increment.
//
//go:nocheckptr
func (a *LongCall) Increment() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_increment(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// ReleaseLease is larder_release_lease.
//
//go:nocheckptr
func (a *LongCall) ReleaseLease() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_release_lease(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// MarkStale is larder_mark_stale.
//
//go:nocheckptr
func (a *LongCall) MarkStale() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_mark_stale(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// InvalidateTag is larder_invalidate_tag.
//
//go:nocheckptr
func (a *LongCall) InvalidateTag() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_invalidate_tag(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// LoadBegin is larder_stamp and larder_load_begin.
//
//go:nocheckptr
func (a *LongCall) LoadBegin() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_load_begin(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// LoadEnd is larder_load_end.
//
//go:nocheckptr
func (a *LongCall) LoadEnd() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_load_end(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// LoadCancel is larder_load_cancel.
//
//go:nocheckptr
func (a *LongCall) LoadCancel() Status {
	if a.Cache.p == nil {
		return StatusClosed
	}
	p := unsafe.Pointer(a)
	st := C.go_larder_load_cancel(p)
	runtime.KeepAlive(a)
	return Status(st)
}

// Options are larder_options and larder_namespace_options: what a namespace doesn't have isn't
// looked at for one.
type Options struct {
	MaxBytes, MaxEntries, DefaultTTLMS uint64
	Policy, Stripes                    uint32
	EventBytes, Events                 uint64
	TTLJitter                          float64
	Sliding                            bool
	Clock                              MockClock // nil: the system's
}

// NewHandle makes a cache; or says why the options are invalid.
func NewHandle(o *Options) (Handle, string, Status) {
	options := C.larder_options{
		max_bytes:      C.uint64_t(o.MaxBytes),
		max_entries:    C.uint64_t(o.MaxEntries),
		default_ttl_ms: C.uint64_t(o.DefaultTTLMS),
		policy:         C.uint32_t(o.Policy),
		stripes:        C.uint32_t(o.Stripes),
		event_bytes:    C.uint64_t(o.EventBytes),
		events:         C.uint64_t(o.Events),
		ttl_jitter:     C.double(o.TTLJitter),
		clock:          o.Clock,
	}
	if o.Sliding {
		options.sliding = 1
	}
	options.struct_size = C.size_t(unsafe.Sizeof(options))
	var out *C.larder_cache
	var why [128]C.char
	st := C.go_larder_new(&options, &out, &why[0])
	return Handle{unsafe.Pointer(out)}, optionNames.Replace(C.GoString(&why[0])), Status(st)
}

// An archive of another day would take the structs for others than they are: go build links
// whatever lies under lib/.
func init() {
	linked := halves{
		C.GoString(C.larder_version()), uint(C.larder_abi_version()), uint64(C.larder_layout()),
	}
	compiled := halves{C.LARDER_VERSION, C.LARDER_ABI_VERSION, C.LARDER_LAYOUT}
	if why := compiled.mismatch(linked); why != "" {
		panic(why)
	}
}

// optionNames are what the core calls the options, and Go.
var optionNames = strings.NewReplacer("max_bytes", "MaxBytes", "event_bytes", "EventBytes",
	"ttl_jitter", "TTLJitter", "default_ttl", "DefaultTTL", "stripes", "Stripes")

// Namespace opens a namespace, or makes it.
func (h Handle) Namespace(name *byte, nameLen int, o *Options) (Handle, string, Status) {
	options := C.larder_namespace_options{
		max_bytes:      C.uint64_t(o.MaxBytes),
		max_entries:    C.uint64_t(o.MaxEntries),
		default_ttl_ms: C.uint64_t(o.DefaultTTLMS),
		policy:         C.uint32_t(o.Policy),
		stripes:        C.uint32_t(o.Stripes),
	}
	options.struct_size = C.size_t(unsafe.Sizeof(options))
	var out *C.larder_cache
	var why [128]C.char
	st := C.go_larder_namespace(h.c(), (*C.uint8_t)(name), C.size_t(nameLen), &options, &out, &why[0])
	return Handle{unsafe.Pointer(out)}, optionNames.Replace(C.GoString(&why[0])), Status(st)
}

func (h Handle) c() *C.larder_cache { return (*C.larder_cache)(h.p) }

// Free releases the handle.
func (h Handle) Free() { C.larder_free(h.c()) }

// Close closes the cache.
func (h Handle) Close() { C.larder_close(h.c()) }

// Clear removes all entries.
func (h Handle) Clear() { C.larder_clear(h.c()) }

// Resize changes the budget; or says why it is out of range.
func (h Handle) Resize(maxBytes uint64) (string, Status) {
	if h.p == nil {
		return "", StatusClosed
	}
	var why [128]C.char
	st := C.go_larder_resize(h.c(), C.uint64_t(maxBytes), &why[0])
	return optionNames.Replace(C.GoString(&why[0])), Status(st)
}

// Len is the number of entries.
func (h Handle) Len() int {
	var n C.uint64_t
	if Status(C.larder_len(h.c(), &n)) != StatusOK {
		return 0
	}
	return int(n)
}

// Stats is larder_stats_t.
type Stats struct {
	Hits             uint64
	Misses           uint64
	Sets             uint64
	Deletes          uint64
	Evictions        uint64
	Expirations      uint64
	Rejections       uint64
	Invalidations    uint64
	Entries          int64
	Bytes            int64
	MaxBytes         int64
	LiveBytes        int64
	DeadBytes        int64
	IndexBytes       int64
	BookkeepingBytes int64
	FreeBytes        int64
	HugePageBytes    int64
	AppendedBytes    uint64
	CopiedBytes      uint64
	DroppedEvents    uint64
	OwnBytes         int64
	Namespaces       int
}

// Stats are the core's; all zero if the cache is closed.
func (h Handle) Stats() Stats {
	var s C.larder_stats_t
	s.struct_size = C.size_t(unsafe.Sizeof(s))
	if Status(C.larder_stats(h.c(), &s)) != StatusOK {
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

// Cursor is the place of an iteration; the zero value is the beginning.
type Cursor C.larder_cursor

// Iterate fills block with records and says how many bytes they take, or how many the
// next one needs.
func (h Handle) Iterate(at *Cursor, block []byte) (int, Status) {
	var n C.size_t
	st := C.larder_iterate(h.c(), (*C.larder_cursor)(at), (*C.uint8_t)(unsafe.SliceData(block)), C.size_t(len(block)), &n)
	return int(n), Status(st)
}

// Events fills block with records of events, as Iterate does with those of entries.
func (h Handle) Events(at *Cursor, block []byte) (int, Status) {
	var n C.size_t
	st := C.larder_events(h.c(), (*C.larder_cursor)(at), (*C.uint8_t)(unsafe.SliceData(block)), C.size_t(len(block)), &n, nil)
	return int(n), Status(st)
}

// Borrowed is a value of the core's that stays where it is until it is given back.
type Borrowed struct{ view C.larder_view_t }

// Borrow is larder_view.
func (h Handle) Borrow(key *byte, keyLen int) (Borrowed, Status) {
	var b Borrowed
	st := C.larder_view(h.c(), (*C.uint8_t)(key), C.size_t(keyLen), &b.view)
	return b, Status(st)
}

// GiveBack gives it back, and empties it.
func (b *Borrowed) GiveBack() { C.larder_view_release(&b.view) }

// Bytes is the value.
func (b *Borrowed) Bytes() []byte { return unsafe.Slice((*byte)(b.view.data), b.view.len) }

// inProgram reports whether the core is part of the program, rather than of a library that is
// loaded by one.
func inProgram() bool { return bool(C.go_larder_in_program()) }

// A MockClock is a larder_mock_clock of the core's.
type MockClock = *C.larder_mock_clock

// NewMockClock makes a clock.
func NewMockClock() MockClock { return C.larder_mock_clock_new() }

// FreeMockClock frees one.
func FreeMockClock(c MockClock) { C.larder_mock_clock_free(c) }

// SetMockClock moves one, never back.
func SetMockClock(c MockClock, millis uint64) { C.larder_mock_clock_set(c, C.uint64_t(millis)) }
