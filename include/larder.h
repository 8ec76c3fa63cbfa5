/* larder: an in-process cache of bytes, with a byte budget that holds.
 *
 * A cache maps keys (0 to 65,536 bytes) to values (0 bytes to a quarter of the budget). Everything
 * counts against the budget: keys, values, headers, index, free space. When it is used up, the
 * least useful entries go.
 *
 *     larder_options options = { .struct_size = sizeof options, .max_bytes = 64 << 20 };
 *     larder_cache *cache;
 *     if (larder_new(&options, &cache) != LARDER_OK) ...;
 *     larder_set(cache, (const uint8_t *)"key", 3, (const uint8_t *)"value", 5);
 *     uint8_t buf[256]; size_t len;
 *     if (larder_get(cache, (const uint8_t *)"key", 3, buf, sizeof buf, &len) == LARDER_OK) ...;
 *     larder_free(cache);
 *
 * In this file, from simple to advanced: Versions and statuses, Lifecycle, Reading, Writing,
 * Statistics; then Conditional, Batches, Loads, Tags, Events, Namespaces. The first five are all
 * that most programs need.
 *
 * Conventions, which hold for every function
 *
 * - Every function that can fail returns a larder_status; larder_status_message says it in words.
 *   The receiver comes first, then inputs, then outputs. A call that fails changes nothing, unless
 *   its comment says otherwise.
 * - Bytes are a pointer and a length. A pointer may be NULL when its length is 0. Nothing is kept
 *   of what the caller passes in: keys and values are copied.
 * - A handle is NULL or from larder_new, larder_namespace or larder_namespace_next, and was not
 *   freed. Every other pointer is NULL or valid for its length, a struct for its struct_size.
 *   NULL, zero lengths and lengths out of range get a status, never a crash; pointers that are
 *   neither NULL nor valid can't be found out.
 * - A `const larder_cache *` may be used from any number of threads at once. Only larder_free needs
 *   to be alone.
 * - After larder_close every call returns LARDER_CLOSED. Close and free need no particular order
 *   with views: a view stays valid until it is released.
 * - Structs that may grow begin with their size in bytes, which the caller sets: sizeof the struct.
 * - Times to live are in milliseconds. An entry is never returned after its time (by a clock with
 *   steps of 1 to 4 ms).
 * - No call is async-signal-safe, and a child after fork() must not use a cache of its parent.
 * - "Since" names the first version of the library that had it.
 *
 * Generated from src/ffi by `make header`. Do not edit.
 */

#ifndef LARDER_H
#define LARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * Versions and statuses
 * ------------------------------------------------------------------------------------------ */

#define LARDER_VERSION "0.1.0"
#define LARDER_VERSION_MAJOR 0
#define LARDER_VERSION_MINOR 1
#define LARDER_VERSION_PATCH 0

/* The version of this header as one number that grows: 10203 for 1.2.3. For #if. */
#define LARDER_VERSION_NUMBER \
  (LARDER_VERSION_MAJOR * 10000 + LARDER_VERSION_MINOR * 100 + LARDER_VERSION_PATCH)

/* The version of this ABI: raised when something that compiled programs rely on changes. */
#define LARDER_ABI_VERSION 1

/* Returns LARDER_ABI_VERSION of the library that is linked. A program may compare it with its
 * header's.
 *
 * Since 0.1.0. */
uint32_t larder_abi_version(void);

/* Returns the version of the library, "major.minor.patch". Static; never NULL.
 *
 * Since 0.1.0. */
const char *larder_version(void);

/* What came of a call.
 *
 * Since 0.1.0. */
enum larder_status
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
  : int32_t
#endif
 {
  /* Done. */
  LARDER_OK = 0,
  /* There is no such key (any more), or an iteration has come to its end. */
  LARDER_NOT_FOUND = 1,
  /* The buffer is too small; the length needed was stored, and nothing else written. */
  LARDER_BUFFER_TOO_SMALL = 2,
  /* Only for larder's Go package (larder_fast_*: repeat the call by its larder_call_* twin). */
  LARDER_BUSY = 3,
  /* larder_add: the key has a value. */
  LARDER_EXISTS = 4,
  /* larder_compare_and_swap: the entry has another version. */
  LARDER_CONFLICT = 5,
  /* larder_load_end: the key was set, deleted or cleared since the load began; nothing was
   * stored. */
  LARDER_SUPERSEDED = 6,
  /* NULL where bytes are needed, an option out of range, or a struct_size that this library
   * doesn't know. */
  LARDER_INVALID_ARGUMENT = 16,
  /* The key is longer than 65,536 bytes. */
  LARDER_KEY_TOO_LARGE = 17,
  /* The value is longer than a quarter of the budget (or than 2 GiB - 1). */
  LARDER_VALUE_TOO_LARGE = 18,
  /* The cache was closed. */
  LARDER_CLOSED = 19,
  /* The system refused memory or address space. */
  LARDER_OUT_OF_MEMORY = 20,
  /* Everything that could be evicted is being read or held by views. */
  LARDER_FULL = 21,
  /* A defect in larder was caught. The cache has closed itself. */
  LARDER_PANIC = 22,
  /* Not supported on this system. */
  LARDER_UNSUPPORTED = 23,
  /* The value isn't a number in decimal digits, or would not be one of 64 bits any more. */
  LARDER_NOT_A_NUMBER = 24
};
#ifndef __cplusplus
#if (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
typedef enum larder_status larder_status;
#else
typedef int32_t larder_status;
#endif
#endif

/* Returns a sentence about a status. Static; never NULL, whatever the number.
 *
 * Since 0.1.0. */
const char *larder_status_message(int32_t status);

/* ---------------------------------------------------------------------------------------------
 * Lifecycle: make a cache, close it, change its budget
 * ------------------------------------------------------------------------------------------ */

/* A cache, or a namespace of one. */
typedef struct larder_cache larder_cache;

/* Let larder choose the policy: the one it recommends, which may change between versions. */
#define LARDER_POLICY_DEFAULT 0
/* Least recently used, by second chance. */
#define LARDER_POLICY_LRU 1
/* S3-FIFO. */
#define LARDER_POLICY_S3FIFO 2
/* larder's own: two logs and two ghosts that learn how to share (docs/policy.md). */
#define LARDER_POLICY_CELLAR 3

/* A clock that stands still until it is told to move; see `clock` of larder_options. Of any
 * number of caches at once. Its functions may be called by any thread.
 *
 * Since 0.1.0. */
typedef struct larder_mock_clock larder_mock_clock;

/* How a cache is to be. Set all to zero, then struct_size to sizeof(larder_options) and
 * max_bytes; the rest is optional.
 *
 * Since 0.1.0. */
typedef struct larder_options {
  /* sizeof(larder_options). */
  size_t struct_size;
  /* The budget in bytes, for everything: 256 KiB to 256 GiB. */
  uint64_t max_bytes;
  /* At most this many entries; 0 for no such bound. */
  uint64_t max_entries;
  /* Time to live in milliseconds of entries stored without one; 0: they don't expire. */
  uint64_t default_ttl_ms;
  /* LARDER_POLICY_*. */
  uint32_t policy;
  /* Parts with a lock of their own, a power of two up to 256; 0 to let larder choose. */
  uint32_t stripes;
  /* Must be 0. */
  uint32_t flags;
  /* Must be 0. */
  uint32_t reserved;
  /* Each time to live is shortened by a random part of up to this share, 0 to 1, so that what is
   * stored together doesn't expire together. */
  double ttl_jitter;
  /* 1: every deadline slides: a read puts it off to the time to live from then (it may expire a
   * 32nd of that early). 0: none does, but those of entries stored with LARDER_SET_SLIDING. */
  uint64_t sliding;
  /* Memory in bytes for events that nobody has drained yet (larder_events); 0 for none, up to an
   * eighth of the budget, which pays for it. It is divided over the stripes in whole pages of 4
   * KiB; an event takes 12 bytes and its key. */
  uint64_t event_bytes;
  /* LARDER_EVENT_*, combined by |: which events are wanted; 0 for evicted, expired and rejected.
   * Only with event_bytes. */
  uint64_t events;
  /* The clock that times to live go by, for tests: from larder_mock_clock_new, which may be
   * freed before the cache is. NULL for the system's, CLOCK_MONOTONIC_COARSE: it stands still
   * while the system is suspended. */
  const struct larder_mock_clock *clock;
} larder_options;

/* Makes a cache and stores its handle in *out. Free it with larder_free.
 *
 * Status: LARDER_INVALID_ARGUMENT (NULL, a struct_size that no version of larder_options had, an
 * option out of range), LARDER_OUT_OF_MEMORY (no address space). *out is NULL then. Memory is
 * taken as the cache fills; with a budget of 64 MiB or more, 4 to 18 MiB at once.
 *
 * Since 0.1.0. */
larder_status larder_new(const struct larder_options *options,
                         larder_cache **out);

/* Returns what was wrong with an option, and which range it has, after LARDER_INVALID_ARGUMENT
 * from larder_new, larder_resize or larder_namespace; "" if they were never wrong on this
 * thread, or a pointer was. Valid on this thread until the next such call.
 *
 * Since 0.1.0. */
const char *larder_invalid_option(void);

/* Closes a cache: all its memory goes back to the system, and later calls with the handle return
 * LARDER_CLOSED.
 *
 * Safe while other threads call; those calls are waited for. Memory held by views goes with the
 * last of them. Closing twice is fine.
 *
 * Since 0.1.0. */
larder_status larder_close(const larder_cache *cache);

/* Closes a cache and frees its handle. NULL is fine. Nobody may be using the handle, or use it
 * later; views stay valid. Of a namespace it frees a handle, and closes nothing.
 *
 * Since 0.1.0. */
void larder_free(larder_cache *cache);

/* Changes the budget while in use; when it shrinks, entries are evicted until the rest fits.
 *
 * Status: LARDER_OK; LARDER_INVALID_ARGUMENT outside the range (the larger of 256 KiB and a 64th
 * of the first budget, more with more than 8 stripes, with event_bytes or with namespaces, to
 * the larger of 16 GiB and four times the first budget), LARDER_FULL (views or readers hold what
 * would have to go; the new budget is in force and following sets shrink further),
 * LARDER_CLOSED.
 *
 * Since 0.1.0. */
larder_status larder_resize(const larder_cache *cache,
                            uint64_t max_bytes);

/* Makes a clock that stands at 0. Free it with larder_mock_clock_free. Never NULL.
 *
 * Since 0.1.0. */
struct larder_mock_clock *larder_mock_clock_new(void);

/* Frees a clock. NULL is fine. Caches made with it keep what it counts in: for them time stands
 * still from then on.
 *
 * Since 0.1.0. */
void larder_mock_clock_free(struct larder_mock_clock *clock);

/* Moves a clock forward by so many milliseconds. NULL is fine.
 *
 * Since 0.1.0. */
void larder_mock_clock_advance(const struct larder_mock_clock *clock,
                               uint64_t millis);

/* Moves a clock to so many milliseconds, unless it is beyond that already: it never goes back.
 * NULL is fine.
 *
 * Since 0.1.0. */
void larder_mock_clock_set(const struct larder_mock_clock *clock,
                           uint64_t millis);

/* Where a clock stands, in milliseconds; 0 for NULL.
 *
 * Since 0.1.0. */
uint64_t larder_mock_clock_now(const struct larder_mock_clock *clock);

/* ---------------------------------------------------------------------------------------------
 * Reading: copy a value, borrow it where it lies, walk over all entries
 * ------------------------------------------------------------------------------------------ */

/* Copies the value of a key to `buf` and stores its length in *value_len. `buf` must not overlap
 * the key, which may be compared again when the value was overwritten while it was copied.
 *
 * Status: LARDER_OK; LARDER_NOT_FOUND; LARDER_BUFFER_TOO_SMALL (*value_len is the length
 * required; the contents of `buf` are unspecified; `buf` may be NULL with buf_len 0 to ask for
 * the length); LARDER_KEY_TOO_LARGE, LARDER_INVALID_ARGUMENT, LARDER_CLOSED. *value_len is 0
 * unless said otherwise; value_len may be NULL.
 *
 * Since 0.1.0. */
larder_status larder_get(const larder_cache *cache,
                         const uint8_t *key,
                         size_t key_len,
                         uint8_t *buf,
                         size_t buf_len,
                         size_t *value_len);

/* A value where it lies.
 *
 * Since 0.1.0. */
typedef struct larder_view_t {
  /* The value; never NULL after LARDER_OK. */
  const uint8_t *data;
  /* Its length in bytes. */
  size_t len;
  /* Private; NULL when there is nothing to release. */
  const void *owner;
  /* Private. */
  uint64_t token;
} larder_view_t;

/* Borrows the value of a key where it lies, until larder_view_release: no copy, for large
 * values. It stays valid whatever happens to the entry or the cache meanwhile, and may be
 * released on any thread. Its memory goes on counting against the budget.
 *
 * Status: LARDER_OK; otherwise as larder_get, and *out is all zero.
 *
 * Since 0.1.0. */
larder_status larder_view(const larder_cache *cache,
                          const uint8_t *key,
                          size_t key_len,
                          struct larder_view_t *out);

/* Gives a view back and sets it to zero. A zero view and NULL are fine; a copy of a view that
 * was given back is not.
 *
 * Since 0.1.0. */
larder_status larder_view_release(struct larder_view_t *view);

/* How far an iteration has come. Begin with all zero.
 *
 * Since 0.1.0. */
typedef struct larder_cursor {
  /* Private. */
  uint64_t position;
} larder_cursor;

/* Copies the next entries to `buf`, as records of key length (4 bytes, little endian), value
 * length (likewise), key and value, without padding, and stores their bytes in *written.
 *
 * An entry that is there from the first call to the last is returned exactly once; one that
 * comes, goes or changes meanwhile may be returned or not, once.
 *
 * Status: LARDER_OK; LARDER_NOT_FOUND at the end; LARDER_BUFFER_TOO_SMALL (*written is what the
 * next step needs); LARDER_INVALID_ARGUMENT, LARDER_CLOSED.
 *
 * Since 0.1.0. */
larder_status larder_iterate(const larder_cache *cache,
                             struct larder_cursor *cursor,
                             uint8_t *buf,
                             size_t buf_len,
                             size_t *written);

/* ---------------------------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------------------------ */

/* Stores a value for the cache's default time to live. When it has returned, every get that
 * begins later sees it.
 *
 * Status: LARDER_OK; LARDER_KEY_TOO_LARGE, LARDER_VALUE_TOO_LARGE, LARDER_FULL,
 * LARDER_INVALID_ARGUMENT, LARDER_CLOSED. An older value of the key stays when it fails. Key and
 * value are copied.
 *
 * Since 0.1.0. */
larder_status larder_set(const larder_cache *cache,
                         const uint8_t *key,
                         size_t key_len,
                         const uint8_t *value,
                         size_t value_len);

/* As larder_set, with a time to live in milliseconds of its own; 0: it never expires.
 *
 * Since 0.1.0. */
larder_status larder_set_ttl(const larder_cache *cache,
                             const uint8_t *key,
                             size_t key_len,
                             const uint8_t *value,
                             size_t value_len,
                             uint64_t ttl_ms);

/* Removes a key. LARDER_OK if it was there, else LARDER_NOT_FOUND (or as larder_get).
 *
 * Since 0.1.0. */
larder_status larder_delete(const larder_cache *cache,
                            const uint8_t *key,
                            size_t key_len);

/* Removes everything.
 *
 * Since 0.1.0. */
larder_status larder_clear(const larder_cache *cache);

/* ---------------------------------------------------------------------------------------------
 * Statistics
 * ------------------------------------------------------------------------------------------ */

/* Stores the number of entries in *len (0 when the cache is closed). Expired ones count until
 * they are found.
 *
 * Since 0.1.0. */
larder_status larder_len(const larder_cache *cache,
                         uint64_t *len);

/* What a cache did and holds. Set struct_size to sizeof(larder_stats_t) before the call.
 *
 * Since 0.1.0. */
typedef struct larder_stats_t {
  /* sizeof(larder_stats_t). */
  size_t struct_size;
  /* Gets that found their key. */
  uint64_t hits;
  /* Gets that did not. */
  uint64_t misses;
  /* Values stored. */
  uint64_t sets;
  /* Entries deleted by the caller. */
  uint64_t deletes;
  /* Entries dropped to make room. */
  uint64_t evictions;
  /* Entries removed because their time had come. */
  uint64_t expirations;
  /* Sets that failed for want of room. */
  uint64_t rejections;
  /* Entries now; expired ones count until they are found. */
  uint64_t entries;
  /* Bytes of the budget in use: index, bookkeeping and segments that are not free. */
  uint64_t bytes;
  /* The budget; for a namespace its bound, if it has one. */
  uint64_t max_bytes;
  /* Bytes of live entries: headers, keys, values. */
  uint64_t live_bytes;
  /* Bytes in segments in use that hold nothing alive. */
  uint64_t dead_bytes;
  /* Bytes of the index. */
  uint64_t index_bytes;
  /* Bytes of the budget that are free. */
  uint64_t free_bytes;
  /* Bytes of tables, counters and policies. */
  uint64_t bookkeeping_bytes;
  /* Bytes that the system agreed to back with huge pages. */
  uint64_t huge_page_bytes;
  /* Bytes of entries written by sets, appended or in place. */
  uint64_t appended_bytes;
  /* Bytes of entries appended again by drains. */
  uint64_t copied_bytes;
  /* Entries removed because a tag of theirs was invalidated. */
  uint64_t invalidations;
  /* Events that were dropped because there was no room for them in event_bytes. */
  uint64_t dropped_events;
  /* Bytes that this cache itself holds, without its namespaces. What is said of the budget
   * elsewhere here is of all of them together; for a namespace it is its own. */
  uint64_t own_bytes;
  /* Namespaces that it has. */
  uint64_t namespaces;
} larder_stats_t;

/* Stores what the cache did and holds in *out, whose struct_size the caller has set.
 *
 * Since 0.1.0. */
larder_status larder_stats(const larder_cache *cache,
                           struct larder_stats_t *out);

/* ---------------------------------------------------------------------------------------------
 * Conditional: entries of which more is said (staleness, sliding deadlines, tags, no value),
 * versions and compare-and-swap, counters
 * ------------------------------------------------------------------------------------------ */

/* Flag of larder_set_options: `ttl_ms` counts instead of the cache's default. */
#define LARDER_SET_TTL 1
/* Flag of larder_set_options: each read puts the deadline off to the time to live from then. */
#define LARDER_SET_SLIDING 2
/* Flag of larder_set_options: a negative entry, which says that the key has no value. Plain gets
 * don't find it. */
#define LARDER_SET_ABSENT 4
/* Flag of larder_set_options: `as_of` counts. */
#define LARDER_SET_AS_OF 8

/* What can be said of a value when it is stored. Set all to zero, then struct_size to
 * sizeof(larder_set_options).
 *
 * Since 0.1.0. */
typedef struct larder_set_options {
  /* sizeof(larder_set_options). */
  size_t struct_size;
  /* LARDER_SET_*. */
  uint64_t flags;
  /* Time to live in milliseconds, 0 for ever, with LARDER_SET_TTL. */
  uint64_t ttl_ms;
  /* Stale after so many milliseconds, if that comes before it expires; 0: not. */
  uint64_t stale_ms;
  /* The tags, one behind the other. */
  const uint8_t *tags;
  /* Where each tag ends in `tags`: numbers that don't decrease. */
  const uint32_t *tag_ends;
  /* How many tags: at most 64. */
  size_t tag_count;
  /* With LARDER_SET_AS_OF: what larder_stamp said before the value was fetched. If one of the
   * tags has been invalidated since, the entry is invalid from the start. */
  uint64_t as_of;
} larder_set_options;

/* As larder_set, with more to be said of the value. `options` may be NULL.
 *
 * Status: as larder_set; LARDER_INVALID_ARGUMENT also for a struct_size that is not
 * sizeof(larder_set_options), unknown flags, or more than 64 tags.
 *
 * Since 0.1.0. */
larder_status larder_set_with(const larder_cache *cache,
                              const uint8_t *key,
                              size_t key_len,
                              const uint8_t *value,
                              size_t value_len,
                              const struct larder_set_options *options);

/* Flag of larder_get_with: take the lease of a stale entry, if it is free. */
#define LARDER_GET_LEASE 1
/* Flag of larder_get_with: tell the version. An entry without one is written again with one. */
#define LARDER_GET_VERSION 2
/* Flag of larder_get_with: only look. It counts neither as hit nor as miss, is no use in the
 * policy's eyes, and puts no sliding deadline off. Not together with LARDER_GET_VERSION. */
#define LARDER_GET_QUIET 4

/* State of an entry: it is not stale. */
#define LARDER_FRESH 0
/* State: stale, and somebody else refreshes it (or LARDER_GET_LEASE was not asked for). */
#define LARDER_STALE 1
/* State: stale, and the caller has the lease, for 10 seconds: the caller should refresh it. */
#define LARDER_REFRESH 2
/* State: a negative entry. */
#define LARDER_ABSENT 3

/* What larder_get_with tells of an entry. Set struct_size to sizeof(larder_entry_info) before
 * the call.
 *
 * Since 0.1.0. */
typedef struct larder_entry_info {
  /* sizeof(larder_entry_info). */
  size_t struct_size;
  /* The version, with LARDER_GET_VERSION; else 0. */
  uint64_t version;
  /* Milliseconds until it expires; UINT64_MAX: it doesn't. */
  uint64_t ttl_ms;
  /* LARDER_FRESH, LARDER_STALE, LARDER_REFRESH or LARDER_ABSENT. */
  uint64_t state;
} larder_entry_info;

/* As larder_get, and tells of the entry in *info, whose struct_size the caller has set. A
 * negative entry is LARDER_OK too, with the state LARDER_ABSENT. With LARDER_GET_VERSION it
 * takes the stripe's lock. `flags`: LARDER_GET_*. `buf` must not overlap the key.
 *
 * Status: as larder_get; with LARDER_GET_VERSION also as larder_set.
 *
 * Since 0.1.0. */
larder_status larder_get_with(const larder_cache *cache,
                              const uint8_t *key,
                              size_t key_len,
                              uint8_t *buf,
                              size_t buf_len,
                              size_t *value_len,
                              uint64_t flags,
                              struct larder_entry_info *info);

/* Stores a value if the key has none; a negative entry is none. LARDER_EXISTS if it has; else as
 * larder_set_with.
 *
 * Since 0.1.0. */
larder_status larder_add(const larder_cache *cache,
                         const uint8_t *key,
                         size_t key_len,
                         const uint8_t *value,
                         size_t value_len,
                         const struct larder_set_options *options);

/* Stores a value if the key's entry still has the version that larder_get_with told, and stores
 * the new one in *new_version (which may be NULL).
 *
 * Status: LARDER_CONFLICT (it was set since), LARDER_NOT_FOUND (it is gone); else as
 * larder_set_with.
 *
 * Since 0.1.0. */
larder_status larder_compare_and_swap(const larder_cache *cache,
                                      const uint8_t *key,
                                      size_t key_len,
                                      const uint8_t *value,
                                      size_t value_len,
                                      uint64_t version,
                                      const struct larder_set_options *options,
                                      uint64_t *new_version);

/* Gives an entry another time to live, in milliseconds from now; 0: it doesn't expire.
 * LARDER_OK, LARDER_NOT_FOUND, or as larder_set.
 *
 * Since 0.1.0. */
larder_status larder_touch(const larder_cache *cache,
                           const uint8_t *key,
                           size_t key_len,
                           uint64_t ttl_ms);

/* Adds `delta` to a counter, an entry whose value is a 64-bit number in decimal digits, and
 * stores the sum in *sum (which may be NULL). Where there is no entry one is made that counts
 * from 0, by the options (NULL: the defaults); one that is there keeps its deadline and the
 * rest.
 *
 * Status: LARDER_NOT_A_NUMBER (the value isn't one, or the sum would not be); else as
 * larder_set_with.
 *
 * Since 0.1.0. */
larder_status larder_increment(const larder_cache *cache,
                               const uint8_t *key,
                               size_t key_len,
                               int64_t delta,
                               const struct larder_set_options *options,
                               int64_t *sum);

/* Makes an entry stale at once: who reads it next by larder_get_with with LARDER_GET_LEASE is
 * asked to refresh it. LARDER_OK, LARDER_NOT_FOUND, or as larder_set.
 *
 * Since 0.1.0. */
larder_status larder_mark_stale(const larder_cache *cache,
                                const uint8_t *key,
                                size_t key_len);

/* Gives the lease of a stale entry back, which larder_get_with told the caller he had, if he
 * won't refresh it after all: the next one who asks for it gets it. LARDER_OK, LARDER_NOT_FOUND,
 * or as larder_get.
 *
 * Since 0.1.0. */
larder_status larder_release_lease(const larder_cache *cache,
                                   const uint8_t *key,
                                   size_t key_len);

/* ---------------------------------------------------------------------------------------------
 * Batches: many keys in one call. A call does one group of keys and moves `done` on; it is
 * repeated until `done` is `n`.
 * ------------------------------------------------------------------------------------------ */

/* Flag of larder_call and larder_many: `ttl_ms` counts instead of the cache's default. */
#define LARDER_CALL_TTL 1

/* The arguments of a call for many keys. Keys (and for sets values) lie one behind the other;
 * the ends say where.
 *
 * Since 0.1.0. */
typedef struct larder_many {
  /* The cache. */
  const larder_cache *cache;
  /* All keys. */
  const uint8_t *keys;
  /* Where each key ends in `keys`: `n` numbers that don't decrease. */
  const uint32_t *key_ends;
  /* How many keys. */
  size_t n;
  /* set: all values. */
  const uint8_t *values;
  /* set: where each value ends. */
  const uint32_t *value_ends;
  /* get: where values go, one behind the other. At most 4 GiB - 1. */
  uint8_t *buf;
  /* get: bytes of room. */
  size_t buf_len;
  /* get: where each value ends in `buf`; a key that was not found ends where the one before it
   * did. */
  uint32_t *out_ends;
  /* LARDER_OK, LARDER_NOT_FOUND or an error for each key. */
  uint8_t *out_status;
  /* The next key to do: 0 before the first call, moved on by each. */
  size_t done;
  /* get: bytes of `buf` in use: 0 before the first call, moved on by each. */
  size_t used;
  /* get: after LARDER_BUFFER_TOO_SMALL, bytes of room that the next value needs behind `used`. */
  size_t need;
  /* set: time to live in milliseconds, 0 for ever, if flags has LARDER_CALL_TTL. */
  uint64_t ttl_ms;
  /* LARDER_CALL_*. */
  uint64_t flags;
} larder_many;

/* Gets the next group of keys. Each key's outcome is in `out_status`, its value in `buf`, and
 * where it ends in `out_ends`.
 *
 * Status: LARDER_OK when `done` has moved on; LARDER_BUFFER_TOO_SMALL when the next value needs
 * `need` bytes of room behind `used`: give a larger `buf` (with the bytes that are in it) or
 * take out what it holds, and repeat the call; LARDER_INVALID_ARGUMENT when a required pointer
 * is NULL; LARDER_CLOSED.
 *
 * Since 0.1.0. */
larder_status larder_get_many(struct larder_many *many);

/* Stores the next group of keys. Each key's outcome, as of larder_set or larder_set_ttl, is in
 * `out_status`.
 *
 * Status: LARDER_OK when `done` has moved on; LARDER_INVALID_ARGUMENT when a required pointer is
 * NULL; LARDER_CLOSED.
 *
 * Since 0.1.0. */
larder_status larder_set_many(struct larder_many *many);

/* Deletes the next group of keys; `out_status` has LARDER_OK or LARDER_NOT_FOUND for each.
 *
 * Status: as larder_set_many.
 *
 * Since 0.1.0. */
larder_status larder_delete_many(struct larder_many *many);

/* ---------------------------------------------------------------------------------------------
 * Loads: who fetches a value that isn't there, so that the others needn't
 * ------------------------------------------------------------------------------------------ */

/* Begins the load of a key that isn't there, and stores its token in *token.
 *
 * LARDER_NOT_FOUND: the caller should fetch the value, and then call larder_load_end or
 * larder_load_cancel, once. LARDER_OK: a load with this token is under way, by another, and what
 * that fetches is not older than any set, delete or clear of the key that has returned. Loads
 * are told apart by a 64-bit hash of the key: compare keys before you wait for another's. Or as
 * larder_get.
 *
 * Since 0.1.0. */
larder_status larder_load_begin(const larder_cache *cache,
                                const uint8_t *key,
                                size_t key_len,
                                uint64_t *token);

/* Ends a load by storing the value, as larder_set_with, unless the key was set, deleted or
 * cleared since it began: then LARDER_SUPERSEDED, and nothing is stored. Whatever the status,
 * the load has ended.
 *
 * Since 0.1.0. */
larder_status larder_load_end(const larder_cache *cache,
                              const uint8_t *key,
                              size_t key_len,
                              uint64_t token,
                              const uint8_t *value,
                              size_t value_len,
                              const struct larder_set_options *options);

/* Ends a load without a value. LARDER_SUPERSEDED if the key was changed since it began, or the
 * load has ended.
 *
 * Since 0.1.0. */
larder_status larder_load_cancel(const larder_cache *cache,
                                 const uint8_t *key,
                                 size_t key_len,
                                 uint64_t token);

/* ---------------------------------------------------------------------------------------------
 * Tags: invalidate all entries that have something in common
 * ------------------------------------------------------------------------------------------ */

/* Invalidates all entries that carry a tag and were stored before: none is served once this has
 * returned. `soft`: they are stale from then on instead (see larder_get_with). Takes the same
 * time however many there are.
 *
 * Status: LARDER_OK, LARDER_INVALID_ARGUMENT, LARDER_CLOSED.
 *
 * Since 0.1.0. */
larder_status larder_invalidate_tag(const larder_cache *cache,
                                    const uint8_t *tag,
                                    size_t tag_len,
                                    bool soft);

/* Stores in *stamp where invalidations of tags stand: for as_of of larder_set_options, taken
 * before a value is fetched.
 *
 * Since 0.1.0. */
larder_status larder_stamp(const larder_cache *cache,
                           uint64_t *stamp);

/* ---------------------------------------------------------------------------------------------
 * Events: what became of entries. Only of a cache with event_bytes.
 * ------------------------------------------------------------------------------------------ */

/* An event, by its reason: an entry was dropped to make room. larder_stats counts it among the
 * evictions. */
#define LARDER_EVENT_EVICTED 1
/* An entry was removed after its time had come: when it was found, or in the background, at most
 * about 0.6 s after. */
#define LARDER_EVENT_EXPIRED 2
/* A set failed with LARDER_FULL. An older value of the key is still there. */
#define LARDER_EVENT_REJECTED 4
/* An entry was deleted by larder_delete. */
#define LARDER_EVENT_DELETED 8
/* An entry's value was replaced by a set. */
#define LARDER_EVENT_OVERWRITTEN 16
/* An entry was removed because a tag of it was invalidated: when it was found, or in the
 * background. */
#define LARDER_EVENT_INVALIDATED 32

/* Moves the next events to `buf`, as records of reason (LARDER_EVENT_*, 4 bytes, little endian),
 * key length (likewise), value length (likewise) and key, without padding, and stores their
 * bytes in *written. The value is the one that is gone or was rejected; its length is all there
 * is to know of it.
 *
 * *dropped, unless dropped is NULL, is the number of events that were dropped, because their
 * stripe's part of event_bytes was full, since a call last reported them; it may be more than 0
 * whatever the status. larder_stats has their sum.
 *
 * Begin with a cursor of all zero and call until LARDER_NOT_FOUND: this is a pass, which returns
 * everything that was there when it began, and perhaps some of what came meanwhile, and always
 * comes to an end. Events of one key come in order; those of different keys may not. Several
 * threads may make passes at once, each with a cursor of its own: every event, and every count,
 * goes to one of them. A call that fails takes no events. Nothing is left after larder_close.
 *
 * Cost: one lock of a stripe for every 16 KiB, and at least one for each stripe.
 *
 * Status: LARDER_OK; LARDER_NOT_FOUND at the end of the pass (at once without event_bytes);
 * LARDER_BUFFER_TOO_SMALL (*written is what the next record needs: 12 bytes and its key, at most
 * 65,548); LARDER_INVALID_ARGUMENT, LARDER_CLOSED.
 *
 * Since 0.1.0. */
larder_status larder_events(const larder_cache *cache,
                            struct larder_cursor *cursor,
                            uint8_t *buf,
                            size_t buf_len,
                            size_t *written,
                            uint64_t *dropped);

/* ---------------------------------------------------------------------------------------------
 * Namespaces: caches that share one budget
 * ------------------------------------------------------------------------------------------ */

/* How a namespace is to be. Set all to zero, then struct_size to
 * sizeof(larder_namespace_options); the rest is optional. Jitter and sliding are as in the
 * cache.
 *
 * Since 0.1.0. */
typedef struct larder_namespace_options {
  /* sizeof(larder_namespace_options). */
  size_t struct_size;
  /* The most bytes of the cache's budget that it may hold, entries, index and bookkeeping; 0: no
   * bound but the budget. At least 2 * stripes + 6 segments, of which a budget has about 2,048. */
  uint64_t max_bytes;
  /* At most this many entries; 0 for no such bound. */
  uint64_t max_entries;
  /* Time to live in milliseconds of entries stored without one; 0: they don't expire. */
  uint64_t default_ttl_ms;
  /* LARDER_POLICY_*; LARDER_POLICY_DEFAULT: as in the cache. */
  uint32_t policy;
  /* Parts with a lock of their own, a power of two up to 256; 0 to let larder choose. */
  uint32_t stripes;
} larder_namespace_options;

/* Stores in *out a handle of the namespace with this name, of 1 to 255 bytes: a cache with
 * entries, statistics and a policy of its own, that lives on this one's budget. It is made if it
 * isn't there; otherwise options that are not 0 must be those that it has. `options` may be
 * NULL.
 *
 * Every function takes the handle. larder_free frees it, without closing the namespace, before
 * or after the cache's. The namespace lives until it is closed by larder_close, or the cache is
 * closed or freed; then the calls of all its handles return LARDER_CLOSED.
 *
 * Status: LARDER_OK; LARDER_INVALID_ARGUMENT (a name or an option out of range; options that are
 * not those it has; a namespace of a namespace; more than 256; a budget with too few segments
 * for one more), LARDER_OUT_OF_MEMORY, LARDER_FULL, LARDER_CLOSED. *out is NULL then.
 *
 * Since 0.1.0. */
larder_status larder_namespace(const larder_cache *cache,
                               const uint8_t *name,
                               size_t name_len,
                               const struct larder_namespace_options *options,
                               larder_cache **out);

/* Iterates over the namespaces, in the order of their names' bytes: copies to `buf` the first
 * name behind `name`, with its length in *len, and unless `out` is NULL stores a handle of that
 * namespace in *out, for larder_free. Begin with a name_len of 0; `name` and `buf` may be the
 * same. One that is there all the while comes exactly once.
 *
 * Status: LARDER_OK; LARDER_NOT_FOUND behind the last; LARDER_BUFFER_TOO_SMALL (*len is what is
 * needed; 255 always suffice); LARDER_INVALID_ARGUMENT, LARDER_CLOSED. Else *len is 0, and *out
 * is NULL unless LARDER_OK.
 *
 * Since 0.1.0. */
larder_status larder_namespace_next(const larder_cache *cache,
                                    const uint8_t *name,
                                    size_t name_len,
                                    uint8_t *buf,
                                    size_t buf_len,
                                    size_t *len,
                                    larder_cache **out);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LARDER_H */
