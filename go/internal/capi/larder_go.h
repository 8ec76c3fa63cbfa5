/* What larder's Go package calls beside larder.h: the same operations with one pointer to a struct
 * of words, so that little crosses; and their twins that run on the goroutine's own stack.
 *
 * Not for other programs, and not installed: it may change with any version, together with the
 * Go package that links the library it was made with.
 *
 * Generated from src/ffi by `make header`. Do not edit.
 */

#ifndef LARDER_GO_H
#define LARDER_GO_H

#include "larder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the declarations of larder.h and of this file come to. */
#define LARDER_LAYOUT 0x2fb7888118342160ULL

/* For Go: LARDER_LAYOUT of the headers that the library was built with. It changes with any of
 * their declarations. */
uint64_t larder_layout(void);

/* Flag of larder_call for gets: as larder_get_with with LARDER_GET_LEASE: `state` is told, and
 * an absent entry is LARDER_OK. */
#define LARDER_CALL_STATE 2
/* Flag of larder_call_get: as LARDER_GET_QUIET. Not for larder_fast_get, which doesn't look at
 * it. */
#define LARDER_CALL_QUIET 4

/* The arguments of one call from Go: words only, so that one pointer crosses. */
typedef struct larder_call {
  /* The cache. */
  const larder_cache *cache;
  /* The key. */
  const uint8_t *key;
  /* Its length. */
  size_t key_len;
  /* get: where the value goes. set: the value. */
  uint8_t *buf;
  /* get: bytes of room. set: length of the value. */
  size_t buf_len;
  /* get: length of the value, also when it didn't fit. */
  size_t out_len;
  /* set: time to live in milliseconds, 0 for ever, if flags has LARDER_CALL_TTL. */
  uint64_t ttl_ms;
  /* LARDER_CALL_*. */
  uint64_t flags;
  /* set: NULL, or what else is to be said of the value; then ttl_ms and flags don't count. */
  const struct larder_set_options *options;
  /* get: how fresh the value is, if flags has LARDER_CALL_STATE. */
  uint64_t state;
} larder_call;

/* For the fast path from Go: larder_get. May return LARDER_BUSY. */
size_t larder_fast_get(struct larder_call *call);

/* For the fast path from Go: larder_set or larder_set_ttl. May return LARDER_BUSY. */
size_t larder_fast_set(struct larder_call *call);

/* For the fast path from Go: larder_delete. May return LARDER_BUSY. */
size_t larder_fast_delete(struct larder_call *call);

/* For the slow path from Go: larder_get. */
size_t larder_call_get(struct larder_call *call);

/* For the slow path from Go: larder_set or larder_set_ttl. */
size_t larder_call_set(struct larder_call *call);

/* For the slow path from Go: larder_delete. */
size_t larder_call_delete(struct larder_call *call);

/* For the fast path from Go: gets the next group. LARDER_OK when `done` has moved on,
 * LARDER_BUFFER_TOO_SMALL when the next value needs `need` bytes of room behind `used`,
 * LARDER_BUSY, or as larder_get. */
size_t larder_fast_get_many(struct larder_many *many);

/* Stores the next group on the fast path. Each key's outcome is in `out_status`. LARDER_BUSY
 * when the one at `done` has to take the slow path. */
size_t larder_fast_set_many(struct larder_many *many);

/* Deletes the next group on the fast path; `out_status` has LARDER_OK or LARDER_NOT_FOUND for
 * each. */
size_t larder_fast_delete_many(struct larder_many *many);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LARDER_GO_H */
