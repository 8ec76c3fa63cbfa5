/* Namespaces: keys and statistics of their own, a bound that holds, bad arguments, and handles freed in any order. */
#include "helpers.h"

static larder_namespace_options bound(uint64_t max_bytes) {
    larder_namespace_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.max_bytes = max_bytes;
    options.stripes = 1;
    return options;
}

static larder_cache *open_namespace(const larder_cache *cache, const char *name, uint64_t max_bytes) {
    const larder_namespace_options options = bound(max_bytes);
    larder_cache *namespace_ = NULL;
    REQUIRE(larder_namespace(cache, bytes(name), strlen(name), &options, &namespace_) == LARDER_OK);
    REQUIRE(namespace_ != NULL);
    return namespace_;
}

static larder_stats_t read_stats(const larder_cache *cache) {
    larder_stats_t stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    REQUIRE(larder_stats(cache, &stats) == LARDER_OK);
    return stats;
}

static void keys_and_statistics_are_their_own(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_cache *a = open_namespace(cache, "a", 0);
    larder_cache *b = open_namespace(cache, "b", 0);
    larder_cache *again = NULL;
    larder_stats_t of_a, of_b, of_all;

    CHECK_STATUS(LARDER_OK, set_text(cache, "key", "outside"));
    CHECK_STATUS(LARDER_OK, set_text(a, "key", "in a"));
    CHECK(has_text(cache, "key", "outside"));
    CHECK(has_text(a, "key", "in a"));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(b, bytes("key"), 3, NULL, 0, NULL));
    of_a = read_stats(a);
    of_b = read_stats(b);
    of_all = read_stats(cache);
    CHECK(of_a.sets == 1 && of_a.hits == 1 && of_a.misses == 0 && of_a.entries == 1);
    CHECK(of_b.sets == 0 && of_b.hits == 0 && of_b.misses == 1 && of_b.entries == 0);
    CHECK(of_all.sets == 1 && of_all.hits == 1 && of_all.misses == 0 && of_all.entries == 1);
    CHECK(of_all.namespaces == 2 && of_a.namespaces == 0);
    CHECK(of_a.bytes == of_a.own_bytes);
    CHECK(of_all.bytes >= of_all.own_bytes + of_a.own_bytes + of_b.own_bytes);
    CHECK(of_all.bytes <= of_all.max_bytes);

    /* By its name alone, it is the same. */
    CHECK_STATUS(LARDER_OK, larder_namespace(cache, bytes("a"), 1, NULL, &again));
    CHECK(has_text(again, "key", "in a"));
    CHECK_STATUS(LARDER_OK, larder_clear(again));
    CHECK(!has_text(a, "key", "in a"));
    CHECK(has_text(cache, "key", "outside"));
    larder_free(again);
    larder_free(a);
    larder_free(b);
    larder_free(cache);
}

static void a_bound_holds(void) {
    larder_cache *cache = new_cache(8 * MIB);
    larder_cache *a = open_namespace(cache, "a", MIB);
    static const uint8_t value[200];
    larder_stats_t stats;
    uint32_t i;
    int held = 1;
    for (i = 0; i < 20000; i++) {
        REQUIRE(larder_set(a, (const uint8_t *)&i, sizeof i, value, sizeof value) == LARDER_OK);
        held &= i % 256 != 0 || read_stats(a).bytes <= MIB;
    }
    CHECK(held);
    stats = read_stats(a);
    CHECK(stats.max_bytes == MIB);
    CHECK(stats.evictions > 0 && stats.live_bytes > MIB / 2);
    CHECK(read_stats(cache).evictions == 0);
    CHECK_STATUS(LARDER_OK, larder_resize(a, MIB / 2));
    CHECK(read_stats(a).bytes <= MIB / 2);
    larder_free(cache);
    larder_free(a);
}

static void bad_arguments(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_cache *a = open_namespace(cache, "a", MIB);
    larder_cache *out = cache;
    larder_namespace_options options = bound(0);
    uint8_t name[256];
    size_t len = 7;
    memset(name, 'n', sizeof name);

    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(NULL, bytes("b"), 1, &options, &out));
    CHECK(out == NULL);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, bytes("b"), 1, &options, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, NULL, 1, &options, &out));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, NULL, 0, &options, &out));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, name, sizeof name, &options, &out));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, name, SIZE_MAX, &options, &out));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(a, bytes("b"), 1, &options, &out));
    options.struct_size--;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, bytes("b"), 1, &options, &out));
    options = bound(1);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, bytes("b"), 1, &options, &out));
    options = bound(2 * MIB);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, bytes("a"), 1, &options, &out));
    options = bound(0);
    options.policy = 99;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, bytes("b"), 1, &options, &out));
    options = bound(0);
    options.stripes = 3;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace(cache, bytes("b"), 1, &options, &out));
    CHECK(out == NULL);
    CHECK(read_stats(cache).namespaces == 1);

    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace_next(NULL, NULL, 0, name, sizeof name, &len, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace_next(cache, NULL, 0, NULL, 1, &len, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace_next(cache, NULL, 1, name, sizeof name, &len, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_namespace_next(cache, NULL, 0, name, sizeof name, NULL, NULL));
    CHECK_STATUS(LARDER_BUFFER_TOO_SMALL, larder_namespace_next(cache, NULL, 0, NULL, 0, &len, &out));
    CHECK(len == 1 && out == NULL);

    CHECK_STATUS(LARDER_OK, larder_close(cache));
    CHECK_STATUS(LARDER_CLOSED, set_text(a, "key", "value"));
    CHECK_STATUS(LARDER_CLOSED, larder_namespace(cache, bytes("b"), 1, NULL, &out));
    CHECK_STATUS(LARDER_CLOSED, larder_namespace_next(cache, NULL, 0, name, sizeof name, &len, NULL));
    larder_free(a);
    larder_free(cache);
}

static void names_come_in_order(void) {
    static const char *const made[] = {"pear", "apple", "plum", "app"};
    static const char *const sorted[] = {"app", "apple", "pear", "plum"};
    larder_cache *cache = new_cache(4 * MIB);
    larder_cache *found = NULL;
    uint8_t name[255];
    size_t len = 0, i;
    CHECK_STATUS(LARDER_NOT_FOUND, larder_namespace_next(cache, NULL, 0, name, sizeof name, &len, &found));
    for (i = 0; i < 4; i++) {
        larder_cache *it = open_namespace(cache, made[i], 0);
        CHECK_STATUS(LARDER_OK, set_text(it, "name", made[i]));
        larder_free(it); /* It lives on. */
    }
    for (i = 0; i < 4; i++) {
        CHECK_STATUS(LARDER_OK, larder_namespace_next(cache, name, len, name, sizeof name, &len, &found));
        REQUIRE(len == strlen(sorted[i]) && memcmp(name, sorted[i], len) == 0);
        CHECK(has_text(found, "name", sorted[i]));
        larder_free(found);
    }
    CHECK_STATUS(LARDER_NOT_FOUND, larder_namespace_next(cache, name, len, name, sizeof name, &len, &found));
    CHECK(found == NULL && len == 0);
    larder_free(cache);
}

/* Every order of freeing a cache, two handles of one namespace, and one of another, with a view of each. */
static void handles_are_freed_in_any_order(void) {
    int order;
    for (order = 0; order < 256; order++) {
        const int picks[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
        larder_cache *handles[4];
        larder_view_t views[2];
        int i;
        if (((1 << picks[0]) | (1 << picks[1]) | (1 << picks[2]) | (1 << picks[3])) != 15) {
            continue;
        }
        handles[0] = new_cache(MIB);
        handles[1] = open_namespace(handles[0], "a", 0);
        handles[2] = open_namespace(handles[0], "a", 0);
        handles[3] = open_namespace(handles[0], "b", 0);
        REQUIRE(set_text(handles[1], "key", "of a") == LARDER_OK);
        REQUIRE(set_text(handles[3], "key", "of b") == LARDER_OK);
        REQUIRE(larder_view(handles[2], bytes("key"), 3, &views[0]) == LARDER_OK);
        REQUIRE(larder_view(handles[3], bytes("key"), 3, &views[1]) == LARDER_OK);
        for (i = 0; i < 4; i++) {
            larder_free(handles[picks[i]]);
            handles[picks[i]] = NULL;
            /* What is left works as long as the cache is there, and says that it is closed from then on. */
            if (handles[1] != NULL) {
                CHECK_STATUS(handles[0] != NULL ? LARDER_OK : LARDER_CLOSED, set_text(handles[1], "more", "x"));
            }
        }
        CHECK(views[0].len == 4 && memcmp(views[0].data, "of a", 4) == 0);
        CHECK(views[1].len == 4 && memcmp(views[1].data, "of b", 4) == 0);
        larder_view_release(&views[order & 1]);
        larder_view_release(&views[1 - (order & 1)]);
    }
}

static void closing_one_closes_all_its_handles(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_cache *a = open_namespace(cache, "a", 0);
    larder_cache *same = open_namespace(cache, "a", 0);
    larder_cache *fresh;
    CHECK_STATUS(LARDER_OK, set_text(a, "key", "value"));
    CHECK_STATUS(LARDER_OK, larder_close(a));
    CHECK_STATUS(LARDER_CLOSED, set_text(same, "key", "value"));
    CHECK(read_stats(cache).namespaces == 0);
    fresh = open_namespace(cache, "a", MIB);
    CHECK(!has_text(fresh, "key", "value"));
    CHECK_STATUS(LARDER_OK, set_text(fresh, "key", "new"));
    larder_free(a);
    larder_free(same);
    CHECK(has_text(fresh, "key", "new"));
    larder_free(fresh);
    larder_free(cache);
}

int main(void) {
    keys_and_statistics_are_their_own();
    a_bound_holds();
    bad_arguments();
    names_come_in_order();
    handles_are_freed_in_any_order();
    closing_one_closes_all_its_handles();
    return check_summary("namespaces");
}
