/* What is stored comes back, for every shape of key and value; and nothing is written where nothing may be. */
#include "helpers.h"
#include "larder_go.h"

static void sizes(void) {
    static const size_t lengths[] = {0, 1, 7, 8, 9, 63, 64, 65, 100, 1000, 4095, 4096, 4097, 65535, 65536, 300000, 1048576};
    const size_t n = sizeof lengths / sizeof lengths[0];
    larder_cache *cache = new_cache(16 * MIB);
    uint8_t *value = (uint8_t *)malloc(1048576);
    uint8_t *back = (uint8_t *)malloc(1048576);
    size_t i, j, len;
    REQUIRE(value != NULL && back != NULL);
    for (i = 0; i < n; i++) {
        char key[32];
        const int key_len = snprintf(key, sizeof key, "length-%lu", (unsigned long)lengths[i]);
        for (j = 0; j < lengths[i]; j++) {
            value[j] = (uint8_t)(j * 31 + i);
        }
        CHECK_STATUS(LARDER_OK, larder_set(cache, bytes(key), (size_t)key_len, value, lengths[i]));
        len = 0;
        CHECK_STATUS(LARDER_OK, larder_get(cache, bytes(key), (size_t)key_len, back, 1048576, &len));
        CHECK(len == lengths[i] && memcmp(back, value, len) == 0);
    }
    free(value);
    free(back);
    larder_free(cache);
}

static void keys_are_bytes(void) {
    larder_cache *cache = new_cache(4 * MIB);
    static const uint8_t with_zero[3] = {'a', 0, 'b'};
    uint8_t buf[8];
    size_t len = 0;
    CHECK_STATUS(LARDER_OK, larder_set(cache, with_zero, 3, bytes("three"), 5));
    CHECK_STATUS(LARDER_OK, larder_set(cache, with_zero, 1, bytes("one"), 3));
    CHECK_STATUS(LARDER_OK, larder_get(cache, with_zero, 3, buf, sizeof buf, &len));
    CHECK(len == 5 && memcmp(buf, "three", 5) == 0);
    CHECK_STATUS(LARDER_OK, larder_get(cache, with_zero, 1, buf, sizeof buf, &len));
    CHECK(len == 3 && memcmp(buf, "one", 3) == 0);
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, with_zero, 2, buf, sizeof buf, &len));
    larder_free(cache);
}

static void overwrite_and_delete(void) {
    larder_cache *cache = new_cache(4 * MIB);
    uint64_t count = 0;
    CHECK_STATUS(LARDER_OK, set_text(cache, "soup", "tomato"));
    CHECK_STATUS(LARDER_OK, set_text(cache, "soup", "pea"));
    CHECK(has_text(cache, "soup", "pea"));
    CHECK_STATUS(LARDER_OK, larder_len(cache, &count));
    CHECK(count == 1);
    CHECK_STATUS(LARDER_OK, larder_delete(cache, bytes("soup"), 4));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_delete(cache, bytes("soup"), 4));
    CHECK(!has_text(cache, "soup", "pea"));
    CHECK_STATUS(LARDER_OK, set_text(cache, "a", "1"));
    CHECK_STATUS(LARDER_OK, set_text(cache, "b", "2"));
    CHECK_STATUS(LARDER_OK, larder_clear(cache));
    CHECK(!has_text(cache, "a", "1"));
    CHECK_STATUS(LARDER_OK, larder_len(cache, &count));
    CHECK(count == 0);
    CHECK_STATUS(LARDER_OK, set_text(cache, "a", "3"));
    CHECK(has_text(cache, "a", "3"));
    larder_free(cache);
}

/* Too small a buffer: the needed length is told, and not one byte is written. */
static void small_buffers_stay_untouched(void) {
    larder_cache *cache = new_cache(4 * MIB);
    uint8_t buf[64], untouched[64];
    size_t room, i, len;
    CHECK_STATUS(LARDER_OK, set_text(cache, "key", "0123456789"));
    memset(untouched, 0xc5, sizeof untouched);
    for (room = 0; room < 10; room++) {
        memset(buf, 0xc5, sizeof buf);
        len = 0;
        CHECK_STATUS(LARDER_BUFFER_TOO_SMALL, larder_get(cache, bytes("key"), 3, buf, room, &len));
        CHECK(len == 10);
        CHECK(memcmp(buf, untouched, sizeof buf) == 0);
    }
    len = 0;
    CHECK_STATUS(LARDER_BUFFER_TOO_SMALL, larder_get(cache, bytes("key"), 3, NULL, 0, &len));
    CHECK(len == 10);
    /* Enough room: exactly the value, nothing behind it. */
    for (room = 10; room < 20; room++) {
        memset(buf, 0xc5, sizeof buf);
        CHECK_STATUS(LARDER_OK, larder_get(cache, bytes("key"), 3, buf, room, &len));
        CHECK(len == 10 && memcmp(buf, "0123456789", 10) == 0);
        for (i = 10; i < sizeof buf; i++) {
            if (buf[i] != 0xc5) {
                break;
            }
        }
        CHECK(i == sizeof buf);
    }
    /* A miss writes nothing either. */
    memset(buf, 0xc5, sizeof buf);
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, bytes("other"), 5, buf, sizeof buf, &len));
    CHECK(memcmp(buf, untouched, sizeof buf) == 0);
    larder_free(cache);
}

/* Both doors of the Go package, driven from C: the same words in, the same answers out. */
static void doors(void) {
    typedef size_t (*door)(larder_call *);
    static const door gets[2] = {larder_call_get, larder_fast_get};
    static const door sets[2] = {larder_call_set, larder_fast_set};
    static const door deletes[2] = {larder_call_delete, larder_fast_delete};
    larder_cache *cache = new_cache(4 * MIB);
    uint8_t value[] = {1, 2, 3, 4, 5};
    uint8_t buf[8];
    int d;
    for (d = 0; d < 2; d++) {
        larder_call call;
        size_t status;
        memset(&call, 0, sizeof call);
        call.cache = cache;
        call.key = bytes("door");
        call.key_len = 4;
        call.buf = value;
        call.buf_len = sizeof value;
        status = sets[d](&call);
        if (d == 1 && status == LARDER_BUSY) {
            status = larder_call_set(&call); /* what Go does */
        }
        CHECK(status == LARDER_OK);

        call.buf = buf;
        call.buf_len = sizeof buf;
        call.out_len = 99;
        memset(buf, 0, sizeof buf);
        CHECK(gets[d](&call) == LARDER_OK);
        CHECK(call.out_len == 5 && memcmp(buf, value, 5) == 0);

        call.buf_len = 4;
        call.out_len = 0;
        CHECK(gets[d](&call) == LARDER_BUFFER_TOO_SMALL);
        CHECK(call.out_len == 5);

        call.key_len = 3;
        CHECK(gets[d](&call) == LARDER_NOT_FOUND);
        call.key_len = 4;

        status = deletes[d](&call);
        if (d == 1 && status == LARDER_BUSY) {
            status = larder_call_delete(&call);
        }
        CHECK(status == LARDER_OK);
        CHECK(gets[d](&call) == LARDER_NOT_FOUND);
        CHECK(deletes[d](&call) == LARDER_NOT_FOUND);

        /* The slow path must survive what a careless caller does; the fast one may assume the Go package. */
        if (d == 0) {
            CHECK(gets[d](NULL) == LARDER_INVALID_ARGUMENT);
            CHECK(sets[d](NULL) == LARDER_INVALID_ARGUMENT);
            CHECK(deletes[d](NULL) == LARDER_INVALID_ARGUMENT);
        }
    }
    larder_free(cache);
}

/* Two caches know nothing of each other. */
static void caches_are_separate(void) {
    larder_cache *a = new_cache(2 * MIB);
    larder_cache *b = new_cache(2 * MIB);
    CHECK_STATUS(LARDER_OK, set_text(a, "k", "a"));
    CHECK(!has_text(b, "k", "a"));
    CHECK_STATUS(LARDER_OK, set_text(b, "k", "b"));
    larder_free(a);
    CHECK(has_text(b, "k", "b"));
    larder_free(b);
}

int main(void) {
    sizes();
    keys_are_bytes();
    overwrite_and_delete();
    small_buffers_stay_untouched();
    doors();
    caches_are_separate();
    return check_summary("roundtrip");
}
