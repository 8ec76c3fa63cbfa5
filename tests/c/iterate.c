/* Iteration: each entry once, in a buffer of the caller's, with progress or a size to make progress with. */
#include "helpers.h"

enum { ENTRIES = 5000 };

static uint32_t read_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Walks the whole cache with a buffer of `room` bytes, or as many as a step asks for; counts how often each key was seen.
 * Returns the entries seen. */
static size_t walk(const larder_cache *cache, size_t room, unsigned char seen[ENTRIES]) {
    uint8_t *buf = (uint8_t *)malloc(room);
    larder_cursor cursor;
    size_t total = 0;
    REQUIRE(buf != NULL);
    memset(&cursor, 0, sizeof cursor);
    memset(seen, 0, ENTRIES);
    for (;;) {
        size_t written = 0, at = 0;
        const larder_status status = larder_iterate(cache, &cursor, buf, room, &written);
        if (status == LARDER_NOT_FOUND) {
            break;
        }
        if (status == LARDER_BUFFER_TOO_SMALL) {
            /* A step is the few entries that lie together in the index. */
            REQUIRE(written > room && written < 100000);
            room = written;
            buf = (uint8_t *)realloc(buf, room);
            REQUIRE(buf != NULL);
            continue;
        }
        REQUIRE(status == LARDER_OK);
        CHECK(written > 0 && written <= room);
        while (at < written) {
            uint32_t key_len, value_len;
            char key[16];
            unsigned long number;
            REQUIRE(written - at >= 8);
            key_len = read_u32(buf + at);
            value_len = read_u32(buf + at + 4);
            REQUIRE(key_len < sizeof key && written - at - 8 >= (size_t)key_len + value_len);
            memcpy(key, buf + at + 8, key_len);
            key[key_len] = 0;
            number = strtoul(key + 1, NULL, 10);
            REQUIRE(key[0] == 'k' && number < ENTRIES);
            seen[number]++;
            /* The value of key n is n % 200 bytes of n. */
            CHECK(value_len == number % 200);
            if (value_len > 0) {
                CHECK(buf[at + 8 + key_len] == (uint8_t)number && buf[at + 8 + key_len + value_len - 1] == (uint8_t)number);
            }
            at += 8 + key_len + value_len;
            total++;
        }
        CHECK(at == written);
    }
    free(buf);
    return total;
}

int main(void) {
    larder_cache *cache = new_cache(16 * MIB);
    static unsigned char seen[ENTRIES];
    uint8_t small[4];
    larder_cursor cursor;
    size_t written = 0;
    uint64_t count = 0;
    int i;

    memset(&cursor, 0, sizeof cursor);
    CHECK_STATUS(LARDER_NOT_FOUND, larder_iterate(cache, &cursor, small, sizeof small, &written));

    for (i = 0; i < ENTRIES; i++) {
        char key[16];
        uint8_t value[200];
        const int key_len = snprintf(key, sizeof key, "k%d", i);
        memset(value, i, sizeof value);
        REQUIRE(larder_set(cache, bytes(key), (size_t)key_len, value, (size_t)(i % 200)) == LARDER_OK);
    }
    CHECK_STATUS(LARDER_OK, larder_len(cache, &count));
    CHECK(count == ENTRIES);

    CHECK(walk(cache, 64 * 1024, seen) == ENTRIES);
    for (i = 0; i < ENTRIES && seen[i] == 1; i++) {
    }
    CHECK(i == ENTRIES);
    /* Room for nothing at first: as much as each step asks for. */
    CHECK(walk(cache, 1, seen) == ENTRIES);
    for (i = 0; i < ENTRIES && seen[i] == 1; i++) {
    }
    CHECK(i == ENTRIES);

    /* Too small for the next entry: nothing written, the cursor stays, and the size that will do is told. */
    memset(&cursor, 0, sizeof cursor);
    memset(small, 0xc5, sizeof small);
    CHECK_STATUS(LARDER_BUFFER_TOO_SMALL, larder_iterate(cache, &cursor, small, sizeof small, &written));
    CHECK(written >= 8 + 2 && written < 100000);
    CHECK(small[0] == 0xc5 && small[3] == 0xc5);
    {
        const size_t need = written;
        uint8_t *enough = (uint8_t *)malloc(need);
        REQUIRE(enough != NULL);
        CHECK_STATUS(LARDER_OK, larder_iterate(cache, &cursor, enough, need, &written));
        CHECK(written <= need && written > 0);
        free(enough);
    }

    /* Entries written and deleted during the walk do not disturb those that stay. */
    {
        const size_t room = 8192;
        uint8_t *buf = (uint8_t *)malloc(room);
        size_t stayed = 0;
        int step = 0;
        REQUIRE(buf != NULL);
        memset(&cursor, 0, sizeof cursor);
        memset(seen, 0, sizeof seen);
        while (larder_iterate(cache, &cursor, buf, room, &written) == LARDER_OK) {
            size_t at = 0;
            char key[16];
            int key_len;
            while (at < written) {
                const uint32_t k = read_u32(buf + at), v = read_u32(buf + at + 4);
                memcpy(key, buf + at + 8, k);
                key[k] = 0;
                if (key[0] == 'k') {
                    seen[strtoul(key + 1, NULL, 10)]++;
                }
                at += 8 + k + v;
            }
            /* Odd keys go, new ones come, even ones stay. */
            key_len = snprintf(key, sizeof key, "k%d", (step * 2 + 1) % ENTRIES);
            (void)larder_delete(cache, bytes(key), (size_t)key_len);
            key_len = snprintf(key, sizeof key, "new%d", step);
            REQUIRE(larder_set(cache, bytes(key), (size_t)key_len, bytes("x"), 1) == LARDER_OK);
            step++;
            REQUIRE(step < 1000000);
        }
        for (i = 0; i < ENTRIES; i += 2) {
            stayed += seen[i] == 1;
        }
        CHECK(stayed == ENTRIES / 2);
        for (i = 0; i < ENTRIES && seen[i] <= 1; i++) {
        }
        CHECK(i == ENTRIES);
        free(buf);
    }
    larder_free(cache);
    return check_summary("iterate");
}
