/* Events: records of what became of entries, in a buffer of the caller's, from a queue that is bounded and says what it
 * dropped. */
#include "helpers.h"

enum { ALL = LARDER_EVENT_EVICTED | LARDER_EVENT_EXPIRED | LARDER_EVENT_REJECTED | LARDER_EVENT_DELETED |
             LARDER_EVENT_OVERWRITTEN | LARDER_EVENT_INVALIDATED };

static larder_cache *new_telling(uint64_t max_bytes, uint64_t event_bytes, uint64_t events) {
    larder_options options = budget(max_bytes);
    larder_cache *cache = NULL;
    options.stripes = 1;
    options.event_bytes = event_bytes;
    options.events = events;
    REQUIRE(larder_new(&options, &cache) == LARDER_OK);
    return cache;
}

static uint32_t read_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Takes one record off the front of `*at`, and checks it. */
static void expect(const uint8_t **at, uint32_t reason, const char *key, uint32_t value_len) {
    CHECK(read_u32(*at) == reason);
    REQUIRE(read_u32(*at + 4) == strlen(key));
    CHECK(read_u32(*at + 8) == value_len);
    CHECK(memcmp(*at + 12, key, strlen(key)) == 0);
    *at += 12 + strlen(key);
}

static void options_are_checked(void) {
    larder_options options = budget(4 * MIB);
    larder_cache *cache = NULL;
    options.event_bytes = MIB;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.event_bytes = UINT64_MAX;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.event_bytes = 4096;
    options.events = ALL + 1;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.events = ((uint64_t)1 << 32) + LARDER_EVENT_EVICTED;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.event_bytes = 0; /* wanted, but there is no room for any */
    options.events = LARDER_EVENT_EVICTED;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    CHECK(cache == NULL);
    options.event_bytes = MIB / 2;
    options.events = ALL;
    CHECK_STATUS(LARDER_OK, larder_new(&options, &cache));
    larder_free(cache);
}

/* A program built against the first version of the options has none of the fields for events. */
static void a_shorter_options_struct_has_no_events(void) {
    larder_options options = budget(4 * MIB);
    larder_cache *cache = NULL;
    const size_t first = offsetof(larder_options, ttl_jitter);
    larder_cursor cursor = {0};
    size_t written = 77;
    options.struct_size = first;
    options.sliding = options.event_bytes = options.events = UINT64_C(0xc5c5c5c5c5c5c5c5); /* not its own */
    REQUIRE(larder_new(&options, &cache) == LARDER_OK);
    CHECK_STATUS(LARDER_OK, set_text(cache, "a", "1"));
    CHECK_STATUS(LARDER_OK, larder_delete(cache, bytes("a"), 1));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_events(cache, &cursor, NULL, 0, &written, NULL));
    CHECK(written == 0);
    larder_free(cache);
    options.struct_size = first - 8;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.struct_size = first + 4;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
}

static void arguments_are_checked(void) {
    larder_cache *cache = new_telling(4 * MIB, 4096, ALL);
    larder_cursor cursor = {0};
    uint8_t buf[64];
    size_t written = 77;
    uint64_t dropped = 77;
    REQUIRE(set_text(cache, "a", "1") == LARDER_OK && larder_delete(cache, bytes("a"), 1) == LARDER_OK);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_events(NULL, &cursor, buf, sizeof buf, &written, &dropped));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_events(cache, NULL, buf, sizeof buf, &written, &dropped));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_events(cache, &cursor, NULL, 64, &written, &dropped));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_events(cache, &cursor, buf, sizeof buf, NULL, &dropped));
    /* A cursor from nowhere is at the end. */
    cursor.position = UINT64_MAX;
    CHECK_STATUS(LARDER_NOT_FOUND, larder_events(cache, &cursor, buf, sizeof buf, &written, &dropped));
    cursor.position = UINT64_MAX >> 24; /* has taken all that a pass may */
    CHECK_STATUS(LARDER_OK, larder_events(cache, &cursor, buf, sizeof buf, &written, &dropped));
    CHECK(written == 13 && dropped == 0);
    cursor.position = 0;
    CHECK_STATUS(LARDER_NOT_FOUND, larder_events(cache, &cursor, buf, sizeof buf, &written, &dropped));
    REQUIRE(larder_close(cache) == LARDER_OK);
    cursor.position = 0;
    CHECK_STATUS(LARDER_CLOSED, larder_events(cache, &cursor, buf, sizeof buf, &written, &dropped));
    CHECK(written == 0 && dropped == 0);
    larder_free(cache);
}

static void records_come_in_order_in_any_buffer(void) {
    size_t room;
    for (room = 0; room < 100; room++) {
        larder_cache *cache = new_telling(4 * MIB, 4096, ALL);
        larder_cursor cursor = {0};
        uint8_t buf[101], all[400];
        const uint8_t *at = all;
        size_t used = 0;
        int calls = 0;
        REQUIRE(set_text(cache, "tea", "green") == LARDER_OK);
        REQUIRE(set_text(cache, "tea", "oolong") == LARDER_OK);
        REQUIRE(set_text(cache, "", "empty") == LARDER_OK);
        REQUIRE(larder_delete(cache, NULL, 0) == LARDER_OK);
        REQUIRE(set_text(cache, "coffee", "") == LARDER_OK);
        REQUIRE(larder_delete(cache, bytes("coffee"), 6) == LARDER_OK);
        REQUIRE(larder_delete(cache, bytes("tea"), 3) == LARDER_OK);
        for (;;) {
            size_t written = 77, len = room;
            larder_status status;
            memset(buf, 0xee, sizeof buf);
            status = larder_events(cache, &cursor, len > 0 ? buf : NULL, len, &written, NULL);
            if (status == LARDER_BUFFER_TOO_SMALL) {
                REQUIRE(written > len && written <= 18);
                CHECK(buf[0] == 0xee);
                len = written;
                status = larder_events(cache, &cursor, buf, len, &written, NULL);
                CHECK(written == len);
            }
            CHECK(buf[len] == 0xee);
            if (status == LARDER_NOT_FOUND) {
                CHECK(written == 0);
                break;
            }
            REQUIRE(status == LARDER_OK && written > 0 && written <= len && used + written <= sizeof all);
            memcpy(all + used, buf, written);
            used += written;
            calls++;
        }
        CHECK(used == 4 * 12 + 3 + 0 + 6 + 3);
        CHECK(calls == 1 || room < used);
        expect(&at, LARDER_EVENT_OVERWRITTEN, "tea", 5);
        expect(&at, LARDER_EVENT_DELETED, "", 5);
        expect(&at, LARDER_EVENT_DELETED, "coffee", 0);
        expect(&at, LARDER_EVENT_DELETED, "tea", 6);
        larder_free(cache);
    }
}

/* By default: what the caller didn't do. What finds the queue full is counted, and reported once. */
static void evictions_are_bounded_and_counted(void) {
    larder_cache *cache = new_telling(MIB, 16384, 0);
    static uint8_t value[500], buf[32768];
    uint64_t told = 0, dropped_in_all = 0, dropped = 0;
    larder_stats_t stats;
    int round, i;
    for (round = 0; round < 3; round++) {
        larder_cursor cursor = {0};
        larder_status status;
        size_t written = 0, at;
        const int count = round == 0 ? 50 : 10000; /* none, then more than there is room for */
        for (i = 0; i < count; i++) {
            char key[16];
            const int key_len = snprintf(key, sizeof key, "%d-%05d", round, i);
            REQUIRE(larder_set(cache, bytes(key), (size_t)key_len, value, sizeof value) == LARDER_OK);
        }
        while ((status = larder_events(cache, &cursor, buf, sizeof buf, &written, &dropped)) == LARDER_OK) {
            for (at = 0; at < written; told++) {
                REQUIRE(written - at >= 12);
                CHECK(read_u32(buf + at) == LARDER_EVENT_EVICTED);
                CHECK(read_u32(buf + at + 4) == 7);
                CHECK(read_u32(buf + at + 8) == sizeof value);
                at += 12 + read_u32(buf + at + 4);
            }
            REQUIRE(at == written);
            dropped_in_all += dropped;
        }
        CHECK(status == LARDER_NOT_FOUND && dropped == 0);
        CHECK(round == 0 ? dropped_in_all == 0 : dropped_in_all > 0);
    }
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    REQUIRE(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(told > 500 && stats.dropped_events == dropped_in_all);
    CHECK(stats.evictions == told + dropped_in_all);
    larder_free(cache);
}

int main(void) {
    options_are_checked();
    a_shorter_options_struct_has_no_events();
    arguments_are_checked();
    records_come_in_order_in_any_buffer();
    evictions_are_bounded_and_counted();
    return check_summary("events");
}
