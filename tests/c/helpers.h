/* Short ways to make caches and to store text, for the C programs. */
#ifndef LARDER_TESTS_HELPERS_H
#define LARDER_TESTS_HELPERS_H

#include "check.h"

#define MIB ((uint64_t)1 << 20)

/* Options with nothing but a budget. */
static inline larder_options budget(uint64_t max_bytes) {
    larder_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.max_bytes = max_bytes;
    return options;
}

static inline larder_cache *new_cache(uint64_t max_bytes) {
    larder_options options = budget(max_bytes);
    larder_cache *cache = NULL;
    REQUIRE(larder_new(&options, &cache) == LARDER_OK);
    REQUIRE(cache != NULL);
    return cache;
}

static inline const uint8_t *bytes(const char *text) { return (const uint8_t *)text; }

static inline larder_status set_text(const larder_cache *cache, const char *key, const char *value) {
    return larder_set(cache, bytes(key), strlen(key), bytes(value), strlen(value));
}

/* Whether `key` holds exactly `value`. */
static inline int has_text(const larder_cache *cache, const char *key, const char *value) {
    uint8_t buf[256];
    size_t len = 0;
    return larder_get(cache, bytes(key), strlen(key), buf, sizeof buf, &len) == LARDER_OK && len == strlen(value) &&
           memcmp(buf, value, len) == 0;
}

#endif
