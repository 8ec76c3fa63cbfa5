/* Counts what single calls execute: run it under callgrind, which counts inside `measured` only.
 * `make instructions` does, and prints instructions a call. No time is measured, so a busy machine
 * doesn't matter. Calls go by the fast path, and by the slow one where that says LARDER_BUSY, as
 * Go's do. What the driver itself executes in `measured` (some 20 instructions) is included. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder_go.h"

typedef size_t (*call_fn)(larder_call *);

static uint8_t value[256];
static uint8_t room[256];
static size_t slow_calls;

__attribute__((noinline)) void measured(larder_call *call, call_fn fast, call_fn slow) {
  size_t status = fast(call);
  if (status == LARDER_BUSY) {
    slow_calls++;
    status = slow(call);
  }
  if (status != LARDER_OK) abort();
}

static void unmeasured(larder_call *call, call_fn fast, call_fn slow) {
  size_t status = fast(call);
  if (status == LARDER_BUSY) status = slow(call);
  if (status != LARDER_OK) abort();
}

/* 24 bytes, different for each number, in no order. */
static void make_key(char *key, uint64_t number) {
  snprintf(key, 32, "key:%020" PRIu64, (number * 0x9e3779b97f4a7c15u) ^ (number >> 7));
}

static larder_call call_of(larder_cache *cache, char *key, int is_get, size_t len) {
  larder_call call;
  memset(&call, 0, sizeof call);
  call.cache = cache;
  call.key = (const uint8_t *)key;
  call.key_len = 24;
  call.buf = is_get ? room : value;
  call.buf_len = is_get ? sizeof room : len;
  return call;
}

static uint64_t number_of(const char *text) { return strtoull(text, NULL, 10); }

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: instructions get|set|slowset BUDGET LENGTH KEYS CALLS\n"
                    "  KEYS are stored first. get, set: of one of them. KEYS for which the budget is\n"
                    "  too small, and LENGTH with a minus sign: sets of new keys.\n");
    return 2;
  }
  larder_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.max_bytes = number_of(argv[2]);
  int fresh = argv[3][0] == '-';
  size_t len = (size_t)number_of(argv[3] + fresh);
  uint64_t keys = number_of(argv[4]), calls = number_of(argv[5]);
  int is_get = strcmp(argv[1], "get") == 0;
  if (len > sizeof value || keys == 0) return 2;
  larder_cache *cache = NULL;
  if (larder_new(&options, &cache) != LARDER_OK) abort();
  char key[32];
  for (uint64_t i = 0; i < keys; i++) {
    make_key(key, i);
    larder_call call = call_of(cache, key, 0, len);
    unmeasured(&call, larder_fast_set, larder_call_set);
  }
  call_fn slow = is_get ? larder_call_get : larder_call_set;
  call_fn fast = is_get ? larder_fast_get : larder_fast_set;
  if (strcmp(argv[1], "slowset") == 0) fast = larder_call_set;
  for (uint64_t i = 0; i < calls; i++) {
    make_key(key, fresh ? keys + i : i * 7919 % keys);
    larder_call call = call_of(cache, key, is_get, len);
    measured(&call, fast, slow);
  }
  printf("slow %zu\n", slow_calls);
  larder_free(cache);
  return 0;
}
