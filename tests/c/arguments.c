/* Bad input: every function with NULL, zero lengths, lengths over the limits, absurd options and a closed handle gets
 * its status, and nothing else happens. */
#include "helpers.h"
#include "larder_go.h"

#define MAX_KEY 65536u

static void options_are_checked(void) {
    larder_options options = budget(4 * MIB);
    larder_cache *cache = (larder_cache *)&options; /* must be overwritten or left alone, never used */

    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(NULL, &cache));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(NULL, NULL));

    options = budget(0);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options = budget(1);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options = budget(UINT64_MAX);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options = budget((uint64_t)1 << 50);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));

    options = budget(4 * MIB);
    options.struct_size = 0;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.struct_size = sizeof(size_t);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));

    options = budget(4 * MIB);
    options.policy = 0xdeadbeef;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options = budget(4 * MIB);
    options.stripes = UINT32_MAX;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options = budget(4 * MIB);
    options.flags = UINT32_MAX;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));

    /* The smallest promised budget works, and a failed larder_new left nothing that would get in its way. */
    options = budget(MIB);
    cache = NULL;
    CHECK_STATUS(LARDER_OK, larder_new(&options, &cache));
    REQUIRE(cache != NULL);
    CHECK_STATUS(LARDER_OK, set_text(cache, "k", "v"));
    CHECK(has_text(cache, "k", "v"));
    larder_free(cache);

    /* A program built against a later header passes a larger struct. What is in its new fields can't be known here, so it
     * is told so instead of being served otherwise than it asked. */
    {
        struct {
            larder_options known;
            uint64_t later[4];
        } grown;
        memset(&grown, 0, sizeof grown);
        grown.known = budget(4 * MIB);
        grown.known.struct_size = sizeof grown;
        cache = (larder_cache *)&grown;
        CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&grown.known, &cache));
        CHECK(cache == NULL);
    }
    options = budget(4 * MIB);
    options.reserved = 1;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
}

static void null_is_answered(void) {
    larder_cache *cache = new_cache(4 * MIB);
    const uint8_t *key = bytes("key");
    uint8_t buf[16];
    size_t len = 77;
    uint64_t count = 77;
    larder_cursor cursor;
    larder_stats_t stats;
    memset(&cursor, 0, sizeof cursor);
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;

    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get(NULL, key, 3, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get(cache, NULL, 3, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get(cache, key, 3, NULL, 16, &len));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, key, 3, buf, sizeof buf, NULL)); /* whoever knows the length */
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set(NULL, key, 3, buf, 0));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set(cache, NULL, 3, buf, 1));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set(cache, key, 3, NULL, 1));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set_ttl(NULL, key, 3, buf, 0, 5));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set_ttl(cache, NULL, 3, buf, 1, 5));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set_ttl(cache, key, 3, NULL, 1, 5));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_delete(NULL, key, 3));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_delete(cache, NULL, 3));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_clear(NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_resize(NULL, 4 * MIB));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_len(NULL, &count));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_len(cache, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_stats(NULL, &stats));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_stats(cache, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_iterate(NULL, &cursor, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_iterate(cache, NULL, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_iterate(cache, &cursor, NULL, 16, &len));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_iterate(cache, &cursor, buf, sizeof buf, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_close(NULL));
    larder_free(NULL);

    stats.struct_size = 0;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_stats(cache, &stats));
    stats.struct_size = sizeof stats + 8;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_stats(cache, &stats));

    /* A length that no object can have. */
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_set(cache, key, SIZE_MAX, buf, 1));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_set(cache, key, 3, buf, SIZE_MAX));

    /* After all that the cache is as it was. */
    CHECK_STATUS(LARDER_OK, larder_len(cache, &count));
    CHECK(count == 0);
    larder_free(cache);
}

static void zero_lengths_are_data(void) {
    larder_cache *cache = new_cache(4 * MIB);
    uint8_t buf[4] = {9, 9, 9, 9};
    size_t len = 77;

    /* An empty key and an empty value are a key and a value; a pointer beside length zero may be NULL. */
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, NULL, 0, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_OK, larder_set(cache, NULL, 0, bytes("abc"), 3));
    CHECK_STATUS(LARDER_OK, larder_get(cache, bytes("x"), 0, buf, sizeof buf, &len));
    CHECK(len == 3 && memcmp(buf, "abc", 3) == 0);
    CHECK_STATUS(LARDER_OK, larder_set(cache, bytes("empty"), 5, NULL, 0));
    CHECK_STATUS(LARDER_OK, larder_get(cache, bytes("empty"), 5, NULL, 0, &len));
    CHECK(len == 0);
    CHECK_STATUS(LARDER_OK, larder_get(cache, bytes("empty"), 5, buf, sizeof buf, &len));
    CHECK(len == 0);
    CHECK_STATUS(LARDER_OK, larder_delete(cache, NULL, 0));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_delete(cache, NULL, 0));
    larder_free(cache);
}

static void lengths_have_limits(void) {
    const uint64_t max_bytes = 8 * MIB;
    const size_t max_value = (size_t)(max_bytes / 4);
    larder_cache *cache = new_cache(max_bytes);
    uint8_t *big = (uint8_t *)malloc(max_value + 1);
    uint8_t *back = (uint8_t *)malloc(max_value + 1);
    size_t len = 0;
    REQUIRE(big != NULL && back != NULL);
    memset(big, 0x5a, max_value + 1);

    CHECK_STATUS(LARDER_OK, larder_set(cache, big, MAX_KEY, bytes("v"), 1));
    CHECK_STATUS(LARDER_OK, larder_get(cache, big, MAX_KEY, back, 1, &len));
    CHECK(len == 1 && back[0] == 'v');
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_set(cache, big, MAX_KEY + 1, bytes("v"), 1));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_set_ttl(cache, big, MAX_KEY + 1, bytes("v"), 1, 5));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_get(cache, big, MAX_KEY + 1, back, 1, &len));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_delete(cache, big, MAX_KEY + 1));

    CHECK_STATUS(LARDER_OK, larder_set(cache, bytes("k"), 1, big, max_value));
    CHECK_STATUS(LARDER_OK, larder_get(cache, bytes("k"), 1, back, max_value, &len));
    CHECK(len == max_value && memcmp(big, back, max_value) == 0);
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_set(cache, bytes("k"), 1, big, max_value + 1));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_set_ttl(cache, bytes("k"), 1, big, max_value + 1, 5));

    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_resize(cache, 0));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_resize(cache, UINT64_MAX));
    CHECK(larder_get(cache, big, MAX_KEY, back, 1, &len) == LARDER_OK);

    free(big);
    free(back);
    larder_free(cache);
}

static void closed_handle(void) {
    larder_cache *cache = new_cache(4 * MIB);
    uint8_t buf[16];
    size_t len = 0;
    uint64_t count = 0;
    larder_cursor cursor;
    larder_stats_t stats;
    larder_call call;
    memset(&cursor, 0, sizeof cursor);
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;

    CHECK_STATUS(LARDER_OK, set_text(cache, "k", "v"));
    CHECK_STATUS(LARDER_OK, larder_close(cache));
    CHECK_STATUS(LARDER_OK, larder_close(cache)); /* twice is once */

    CHECK_STATUS(LARDER_CLOSED, larder_get(cache, bytes("k"), 1, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_CLOSED, set_text(cache, "k", "v"));
    CHECK_STATUS(LARDER_CLOSED, larder_set_ttl(cache, bytes("k"), 1, bytes("v"), 1, 9));
    CHECK_STATUS(LARDER_CLOSED, larder_delete(cache, bytes("k"), 1));
    CHECK_STATUS(LARDER_CLOSED, larder_clear(cache));
    CHECK_STATUS(LARDER_CLOSED, larder_resize(cache, 4 * MIB));
    CHECK_STATUS(LARDER_CLOSED, larder_len(cache, &count));
    CHECK_STATUS(LARDER_CLOSED, larder_stats(cache, &stats));
    CHECK_STATUS(LARDER_CLOSED, larder_iterate(cache, &cursor, buf, sizeof buf, &len));

    memset(&call, 0, sizeof call);
    call.cache = cache;
    call.key = bytes("k");
    call.key_len = 1;
    call.buf = buf;
    call.buf_len = sizeof buf;
    CHECK_STATUS(LARDER_CLOSED, larder_call_get(&call));
    CHECK_STATUS(LARDER_CLOSED, larder_call_set(&call));
    CHECK_STATUS(LARDER_CLOSED, larder_call_delete(&call));
    larder_free(cache);
}

static void every_status_has_a_message(void) {
    static const larder_status known[] = {
        LARDER_OK,           LARDER_NOT_FOUND,     LARDER_BUFFER_TOO_SMALL, LARDER_BUSY,
        LARDER_KEY_TOO_LARGE, LARDER_VALUE_TOO_LARGE, LARDER_CLOSED,        LARDER_INVALID_ARGUMENT,
        LARDER_OUT_OF_MEMORY, LARDER_FULL,          LARDER_PANIC,           LARDER_UNSUPPORTED,
    };
    const size_t n = sizeof known / sizeof known[0];
    size_t i, j;
    for (i = 0; i < n; i++) {
        const char *message = larder_status_message(known[i]);
        REQUIRE(message != NULL);
        CHECK(strlen(message) > 1);
        for (j = 0; j < i; j++) {
            CHECK(strcmp(message, larder_status_message(known[j])) != 0);
        }
    }
    CHECK(larder_status_message((larder_status)12345) != NULL);
    CHECK(larder_status_message((larder_status)-1) != NULL);
}

int main(void) {
    options_are_checked();
    null_is_answered();
    zero_lengths_are_data();
    lengths_have_limits();
    closed_handle();
    every_status_has_a_message();
    return check_summary("arguments");
}
