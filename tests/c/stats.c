/* Statistics are exact at rest, and the bytes add up to no more than the budget; resize and the second bound hold. */
#include "helpers.h"

static larder_stats_t read_stats(const larder_cache *cache) {
    larder_stats_t stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    REQUIRE(larder_stats(cache, &stats) == LARDER_OK);
    return stats;
}

static void counters(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_stats_t stats;
    int i;
    for (i = 0; i < 10; i++) {
        char key[2] = {(char)('a' + i), 0};
        CHECK_STATUS(LARDER_OK, set_text(cache, key, "value"));
    }
    for (i = 0; i < 30; i++) {
        char key[2] = {(char)('a' + i % 15), 0};
        CHECK(has_text(cache, key, "value") == (i % 15 < 10));
    }
    CHECK_STATUS(LARDER_OK, larder_delete(cache, bytes("a"), 1));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_delete(cache, bytes("z"), 1));
    stats = read_stats(cache);
    CHECK(stats.sets == 10);
    CHECK(stats.hits == 20);
    CHECK(stats.misses == 10);
    CHECK(stats.deletes == 1);
    CHECK(stats.entries == 9);
    CHECK(stats.evictions == 0);
    CHECK(stats.max_bytes == 4 * MIB);
    CHECK(stats.bytes > 0 && stats.bytes <= stats.max_bytes);
    CHECK(stats.index_bytes > 0 && stats.live_bytes >= 9 * 6);
    larder_free(cache);
}

/* A program built against an earlier, shorter struct gets the fields that it knows and nothing behind them. */
static void a_shorter_struct_is_filled_as_far_as_it_goes(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_stats_t stats;
    const size_t shorter = offsetof(larder_stats_t, sets);
    memset(&stats, 0xc5, sizeof stats);
    stats.struct_size = shorter;
    (void)has_text(cache, "nothing", "");
    CHECK_STATUS(LARDER_OK, larder_stats(cache, &stats));
    CHECK(stats.hits == 0 && stats.misses == 1);
    CHECK(stats.sets == UINT64_C(0xc5c5c5c5c5c5c5c5));
    larder_free(cache);
}

static void fill(const larder_cache *cache, int from, int to, size_t value_len) {
    static uint8_t value[16384];
    int i;
    for (i = from; i < to; i++) {
        char key[16];
        const int key_len = snprintf(key, sizeof key, "%d", i);
        REQUIRE(larder_set(cache, bytes(key), (size_t)key_len, value, value_len) == LARDER_OK);
    }
}

static void the_budget_holds(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_stats_t stats;
    int round;
    for (round = 0; round < 40; round++) {
        static const size_t lengths[] = {10, 1000, 100, 16000};
        fill(cache, round * 500, round * 500 + 1000, lengths[round % 4]);
        stats = read_stats(cache);
        CHECK(stats.bytes <= stats.max_bytes);
    }
    CHECK(stats.evictions > 0);
    CHECK(stats.entries > 0);

    CHECK_STATUS(LARDER_OK, larder_resize(cache, MIB));
    stats = read_stats(cache);
    CHECK(stats.max_bytes == MIB && stats.bytes <= MIB);
    fill(cache, 0, 5000, 500);
    stats = read_stats(cache);
    CHECK(stats.bytes <= MIB);
    CHECK_STATUS(LARDER_OK, larder_resize(cache, 8 * MIB));
    fill(cache, 0, 8000, 500);
    stats = read_stats(cache);
    CHECK(stats.max_bytes == 8 * MIB && stats.bytes <= 8 * MIB);
    /* Room enough now: all of them are there (and perhaps some of before). */
    CHECK(stats.entries >= 8000);
    for (round = 0; round < 8000; round++) {
        char key[16];
        const int key_len = snprintf(key, sizeof key, "%d", round);
        size_t len = 0;
        if (larder_get(cache, bytes(key), (size_t)key_len, NULL, 0, &len) != LARDER_BUFFER_TOO_SMALL || len != 500) {
            break;
        }
    }
    CHECK(round == 8000);
    larder_free(cache);
}

static void entries_can_be_bounded(void) {
    static const uint32_t policies[] = {LARDER_POLICY_DEFAULT, LARDER_POLICY_LRU, LARDER_POLICY_S3FIFO};
    size_t p;
    for (p = 0; p < sizeof policies / sizeof policies[0]; p++) {
        larder_options options = budget(4 * MIB);
        larder_cache *cache = NULL;
        uint64_t count = 0;
        int i;
        options.max_entries = 100;
        options.policy = policies[p];
        REQUIRE(larder_new(&options, &cache) == LARDER_OK);
        for (i = 0; i < 1000; i++) {
            fill(cache, i, i + 1, 20);
            REQUIRE(larder_len(cache, &count) == LARDER_OK);
            if (count > 100) {
                break;
            }
        }
        CHECK(i == 1000);
        CHECK(count > 50 && count <= 100);
        CHECK(read_stats(cache).evictions == 1000 - count);
        larder_free(cache);
    }
}

int main(void) {
    counters();
    a_shorter_struct_is_filled_as_far_as_it_goes();
    the_budget_holds();
    entries_can_be_bounded();
    return check_summary("stats");
}
