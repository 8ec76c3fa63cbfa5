/* A clock that the test moves; looks that don't count; leases that are given back; and what was wrong with an option. */
#include "helpers.h"

static larder_stats_t stats_of(const larder_cache *cache) {
    larder_stats_t stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    REQUIRE(larder_stats(cache, &stats) == LARDER_OK);
    return stats;
}

static uint64_t state_of(const larder_cache *cache, uint64_t flags) {
    larder_entry_info info;
    uint8_t buf[16];
    size_t len;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    REQUIRE(larder_get_with(cache, bytes("k"), 1, buf, sizeof buf, &len, flags, &info) == LARDER_OK);
    return info.state;
}

int main(void) {
    larder_options options = budget(4 * MIB);
    larder_mock_clock *clock = larder_mock_clock_new();
    larder_cache *cache = NULL;
    larder_set_options with;
    larder_entry_info info;
    size_t len = 7;

    REQUIRE(clock != NULL);
    CHECK(larder_mock_clock_now(clock) == 0);
    options.clock = clock;
    options.default_ttl_ms = 1000;
    REQUIRE(larder_new(&options, &cache) == LARDER_OK);
    CHECK_STATUS(LARDER_OK, set_text(cache, "k", "v"));
    larder_mock_clock_advance(clock, 999);
    CHECK(has_text(cache, "k", "v"));
    larder_mock_clock_set(clock, 500); /* it never goes back */
    CHECK(larder_mock_clock_now(clock) == 999);
    larder_mock_clock_set(clock, 1000);
    CHECK(!has_text(cache, "k", "v"));

    /* Stale after a while; the lease is given back, and taken again. */
    memset(&with, 0, sizeof with);
    with.struct_size = sizeof with;
    with.stale_ms = 100;
    CHECK_STATUS(LARDER_OK, larder_set_with(cache, bytes("k"), 1, bytes("v"), 1, &with));
    CHECK(state_of(cache, LARDER_GET_LEASE) == LARDER_FRESH);
    CHECK_STATUS(LARDER_OK, larder_release_lease(cache, bytes("k"), 1));
    CHECK(state_of(cache, LARDER_GET_LEASE) == LARDER_FRESH);
    larder_mock_clock_advance(clock, 100);
    CHECK(state_of(cache, LARDER_GET_LEASE) == LARDER_REFRESH);
    CHECK(state_of(cache, LARDER_GET_LEASE) == LARDER_STALE);
    CHECK_STATUS(LARDER_OK, larder_release_lease(cache, bytes("k"), 1));
    CHECK(state_of(cache, LARDER_GET_LEASE) == LARDER_REFRESH);
    CHECK_STATUS(LARDER_NOT_FOUND, larder_release_lease(cache, bytes("absent"), 6));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_release_lease(NULL, bytes("k"), 1));

    /* A look counts as nothing. */
    {
        larder_stats_t before = stats_of(cache), after;
        memset(&info, 0, sizeof info);
        info.struct_size = sizeof info;
        CHECK(state_of(cache, LARDER_GET_QUIET) == LARDER_STALE);
        CHECK_STATUS(LARDER_NOT_FOUND,
                     larder_get_with(cache, bytes("absent"), 6, NULL, 0, &len, LARDER_GET_QUIET, &info));
        CHECK(len == 0);
        CHECK_STATUS(LARDER_BUFFER_TOO_SMALL,
                     larder_get_with(cache, bytes("k"), 1, NULL, 0, &len, LARDER_GET_QUIET, &info));
        CHECK(len == 1 && info.ttl_ms == 900);
        CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, bytes("k"), 1, NULL, 0, &len,
                                                              LARDER_GET_QUIET | LARDER_GET_VERSION, &info));
        after = stats_of(cache);
        CHECK(after.hits == before.hits && after.misses == before.misses);
    }

    /* The clock may go before the cache. */
    larder_mock_clock_free(clock);
    larder_mock_clock_free(NULL);
    CHECK(has_text(cache, "k", "v"));
    larder_mock_clock_advance(NULL, 1);
    larder_mock_clock_set(NULL, 1);
    CHECK(larder_mock_clock_now(NULL) == 0);
    larder_free(cache);

    /* What was wrong with an option. */
    options = budget(1000);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    CHECK(strstr(larder_invalid_option(), "max_bytes") != NULL && strstr(larder_invalid_option(), "256 KiB") != NULL);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(NULL, &cache));
    CHECK(strcmp(larder_invalid_option(), "") == 0);
    return check_summary("clock");
}
