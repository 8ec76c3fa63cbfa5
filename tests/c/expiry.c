/* Deadlines: never served after them, however they were given. The clock has steps of up to 4 ms, so the waits here are
 * far longer than the TTLs they wait for, and nothing is expected to be still there. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "helpers.h"

static void wait_ms(long ms) {
    struct timespec t;
    t.tv_sec = ms / 1000;
    t.tv_nsec = (ms % 1000) * 1000000;
    while (nanosleep(&t, &t) != 0) {
    }
}

int main(void) {
    larder_options options = budget(4 * MIB);
    larder_cache *cache = NULL;
    uint8_t buf[16];
    size_t len = 0;
    larder_stats_t stats;

    options.default_ttl_ms = 50;
    REQUIRE(larder_new(&options, &cache) == LARDER_OK);

    CHECK_STATUS(LARDER_OK, set_text(cache, "default", "v"));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("short"), 5, bytes("v"), 1, 1));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("hour"), 4, bytes("v"), 1, 3600 * 1000));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("never"), 5, bytes("v"), 1, 0));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("eon"), 3, bytes("v"), 1, UINT64_MAX));
    /* A later set decides, in both directions. */
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("renewed"), 7, bytes("old"), 3, 1));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("renewed"), 7, bytes("new"), 3, 0));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("cut"), 3, bytes("v"), 1, 0));
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("cut"), 3, bytes("v"), 1, 1));

    wait_ms(120);
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, bytes("default"), 7, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, bytes("short"), 5, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, bytes("cut"), 3, buf, sizeof buf, &len));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_delete(cache, bytes("short"), 5));
    CHECK(has_text(cache, "hour", "v"));
    CHECK(has_text(cache, "never", "v"));
    CHECK(has_text(cache, "eon", "v"));
    CHECK(has_text(cache, "renewed", "new"));

    /* The maintenance thread gives expired bytes back within a second, without any call; a slow machine gets ten. */
    memset(&stats, 0, sizeof stats);
    {
        int tries;
        for (tries = 0; tries < 100; tries++) {
            stats.struct_size = sizeof stats;
            REQUIRE(larder_stats(cache, &stats) == LARDER_OK);
            if (stats.entries == 4) {
                break;
            }
            wait_ms(100);
        }
    }
    CHECK(stats.entries == 4);
    CHECK(stats.expirations >= 3);
    larder_free(cache);
    return check_summary("expiry");
}
