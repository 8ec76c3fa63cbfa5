/* What can be said of a value beside its time to live, changes that depend on what is there, loads and tags: what each
 * function means, and that bad input gets its status and changes nothing. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "helpers.h"
#include "larder_go.h"

#define MAX_KEY 65536u
#define HOUR ((uint64_t)3600 * 1000)

static void wait_ms(long ms) {
    struct timespec t;
    t.tv_sec = ms / 1000;
    t.tv_nsec = (ms % 1000) * 1000000;
    while (nanosleep(&t, &t) != 0) {
    }
}

static larder_set_options plain(void) {
    larder_set_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    return options;
}

/* With one tag; `end` must outlive the options. */
static larder_set_options tagged(const char *tag, uint32_t *end) {
    larder_set_options options = plain();
    *end = (uint32_t)strlen(tag);
    options.tags = bytes(tag);
    options.tag_ends = end;
    options.tag_count = 1;
    return options;
}

static larder_status set_with(const larder_cache *cache, const char *key, const char *value,
                              const larder_set_options *options) {
    return larder_set_with(cache, bytes(key), strlen(key), bytes(value), strlen(value), options);
}

/* The entry of a key; everything zero but the status when there is none. */
static larder_status look(const larder_cache *cache, const char *key, uint64_t flags, larder_entry_info *info) {
    uint8_t buf[256];
    size_t len = 0;
    memset(info, 0, sizeof *info);
    info->struct_size = sizeof *info;
    return larder_get_with(cache, bytes(key), strlen(key), buf, sizeof buf, &len, flags, info);
}

static uint64_t state(const larder_cache *cache, const char *key, uint64_t flags) {
    larder_entry_info info;
    CHECK_STATUS(LARDER_OK, look(cache, key, flags, &info));
    return info.state;
}

static uint64_t count_sets(const larder_cache *cache) {
    larder_stats_t stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    REQUIRE(larder_stats(cache, &stats) == LARDER_OK);
    return stats.sets;
}

static void what_is_said_of_a_value(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_set_options options = plain();
    larder_entry_info info;
    uint8_t buf[16];
    size_t len = 77;

    /* NULL options are the defaults. */
    CHECK_STATUS(LARDER_OK, set_with(cache, "key", "value", NULL));
    CHECK(has_text(cache, "key", "value"));
    CHECK_STATUS(LARDER_OK, look(cache, "key", 0, &info));
    CHECK(info.struct_size == sizeof info && info.version == 0 && info.ttl_ms == UINT64_MAX);
    CHECK(info.state == LARDER_FRESH);
    CHECK_STATUS(LARDER_NOT_FOUND, look(cache, "none", 0, &info));

    options.flags = LARDER_SET_TTL;
    options.ttl_ms = HOUR;
    CHECK_STATUS(LARDER_OK, set_with(cache, "key", "value", &options));
    CHECK_STATUS(LARDER_OK, look(cache, "key", 0, &info));
    CHECK(info.ttl_ms > 0 && info.ttl_ms <= HOUR);
    /* Without the flag the number doesn't count; with it 0 is for ever, and so is what no clock will see. */
    options.flags = 0;
    CHECK_STATUS(LARDER_OK, set_with(cache, "key", "value", &options));
    CHECK_STATUS(LARDER_OK, look(cache, "key", 0, &info));
    CHECK(info.ttl_ms == UINT64_MAX);
    options.flags = LARDER_SET_TTL | LARDER_SET_SLIDING;
    options.ttl_ms = UINT64_MAX;
    options.stale_ms = UINT64_MAX;
    CHECK_STATUS(LARDER_OK, set_with(cache, "key", "value", &options));
    CHECK_STATUS(LARDER_OK, look(cache, "key", LARDER_GET_LEASE, &info));
    CHECK(info.ttl_ms == UINT64_MAX && info.state == LARDER_FRESH);

    options = plain();
    options.flags = LARDER_SET_TTL;
    options.ttl_ms = 1;
    CHECK_STATUS(LARDER_OK, set_with(cache, "short", "value", &options));
    options = plain();
    options.stale_ms = 1;
    CHECK_STATUS(LARDER_OK, set_with(cache, "stale", "value", &options));
    wait_ms(100);
    CHECK_STATUS(LARDER_NOT_FOUND, look(cache, "short", 0, &info));
    CHECK(has_text(cache, "stale", "value"));
    CHECK(state(cache, "stale", 0) == LARDER_STALE);
    CHECK(state(cache, "stale", LARDER_GET_LEASE) == LARDER_REFRESH);
    CHECK(state(cache, "stale", LARDER_GET_LEASE) == LARDER_STALE);

    /* Who has no room for the value doesn't get the lease, with or without a version. */
    {
        uint64_t flags = LARDER_GET_LEASE;
        for (;; flags |= LARDER_GET_VERSION) {
            CHECK_STATUS(LARDER_OK, set_text(cache, "stale", "value"));
            CHECK_STATUS(LARDER_OK, larder_mark_stale(cache, bytes("stale"), 5));
            memset(&info, 0, sizeof info);
            info.struct_size = sizeof info;
            CHECK_STATUS(LARDER_BUFFER_TOO_SMALL,
                         larder_get_with(cache, bytes("stale"), 5, buf, 4, &len, flags, &info));
            CHECK(len == 5);
            CHECK_STATUS(LARDER_OK, larder_get_with(cache, bytes("stale"), 5, buf, 5, &len, flags, &info));
            CHECK(len == 5 && memcmp(buf, "value", 5) == 0);
            CHECK(info.state == LARDER_REFRESH);
            if (flags & LARDER_GET_VERSION) {
                CHECK(info.version != 0);
                break;
            }
        }
    }

    /* A negative entry is found by those alone who ask for the state. */
    options = plain();
    options.flags = LARDER_SET_ABSENT;
    CHECK_STATUS(LARDER_OK, larder_set_with(cache, bytes("absent"), 6, NULL, 0, &options));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get(cache, bytes("absent"), 6, buf, sizeof buf, &len));
    CHECK(state(cache, "absent", LARDER_GET_LEASE) == LARDER_ABSENT);
    CHECK_STATUS(LARDER_OK, larder_add(cache, bytes("absent"), 6, bytes("v"), 1, NULL));
    CHECK(has_text(cache, "absent", "v"));
    CHECK_STATUS(LARDER_OK, larder_set_with(cache, bytes("absent"), 6, NULL, 0, &options));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_delete(cache, bytes("absent"), 6));
    CHECK_STATUS(LARDER_NOT_FOUND, look(cache, "absent", 0, &info));
    /* The fast path says the same. */
    {
        larder_call call;
        CHECK_STATUS(LARDER_OK, larder_set_with(cache, bytes("absent"), 6, NULL, 0, &options));
        memset(&call, 0, sizeof call);
        call.cache = cache;
        call.key = bytes("absent");
        call.key_len = 6;
        CHECK_STATUS(LARDER_NOT_FOUND, larder_fast_delete(&call));
        CHECK_STATUS(LARDER_NOT_FOUND, look(cache, "absent", 0, &info));
    }
    larder_free(cache);
}

static void conditions(void) {
    larder_cache *cache = new_cache(4 * MIB);
    larder_entry_info info;
    uint64_t version = 0, sets;
    int64_t sum = 77;

    CHECK_STATUS(LARDER_OK, larder_add(cache, bytes("k"), 1, bytes("1"), 1, NULL));
    CHECK_STATUS(LARDER_EXISTS, larder_add(cache, bytes("k"), 1, bytes("2"), 1, NULL));
    CHECK(has_text(cache, "k", "1"));

    CHECK_STATUS(LARDER_OK, look(cache, "k", LARDER_GET_VERSION, &info));
    REQUIRE(info.version != 0);
    CHECK_STATUS(LARDER_OK,
                 larder_compare_and_swap(cache, bytes("k"), 1, bytes("3"), 1, info.version, NULL, &version));
    CHECK(has_text(cache, "k", "3") && version != 0 && version != info.version);
    CHECK_STATUS(LARDER_CONFLICT,
                 larder_compare_and_swap(cache, bytes("k"), 1, bytes("4"), 1, info.version, NULL, &version));
    CHECK(has_text(cache, "k", "3"));
    CHECK_STATUS(LARDER_OK, larder_compare_and_swap(cache, bytes("k"), 1, bytes("4"), 1, version, NULL, NULL));
    CHECK_STATUS(LARDER_CONFLICT, larder_compare_and_swap(cache, bytes("k"), 1, bytes("5"), 1, 0, NULL, NULL));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_compare_and_swap(cache, bytes("x"), 1, bytes("5"), 1, version, NULL, NULL));
    /* The same value again is another version. */
    CHECK_STATUS(LARDER_OK, look(cache, "k", LARDER_GET_VERSION, &info));
    CHECK_STATUS(LARDER_OK, set_text(cache, "k", "4"));
    CHECK_STATUS(LARDER_CONFLICT,
                 larder_compare_and_swap(cache, bytes("k"), 1, bytes("5"), 1, info.version, NULL, NULL));
    CHECK_STATUS(LARDER_CONFLICT,
                 larder_compare_and_swap(cache, bytes("k"), 1, bytes("5"), 1, UINT64_MAX, NULL, NULL));

    /* A touch is no set, and makes, moves and ends a deadline. */
    sets = count_sets(cache);
    CHECK_STATUS(LARDER_OK, larder_touch(cache, bytes("k"), 1, HOUR));
    CHECK_STATUS(LARDER_OK, look(cache, "k", 0, &info));
    CHECK(info.ttl_ms > 0 && info.ttl_ms <= HOUR);
    CHECK_STATUS(LARDER_OK, larder_touch(cache, bytes("k"), 1, 0));
    CHECK_STATUS(LARDER_OK, look(cache, "k", 0, &info));
    CHECK(info.ttl_ms == UINT64_MAX);
    CHECK_STATUS(LARDER_OK, larder_touch(cache, bytes("k"), 1, UINT64_MAX));
    CHECK(has_text(cache, "k", "4"));
    CHECK_STATUS(LARDER_OK, larder_touch(cache, bytes("k"), 1, 1));
    CHECK(count_sets(cache) == sets);
    wait_ms(100);
    CHECK_STATUS(LARDER_NOT_FOUND, larder_touch(cache, bytes("k"), 1, HOUR));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_mark_stale(cache, bytes("k"), 1));

    CHECK_STATUS(LARDER_OK, larder_increment(cache, bytes("n"), 1, 5, NULL, &sum));
    CHECK(sum == 5);
    CHECK_STATUS(LARDER_OK, larder_increment(cache, bytes("n"), 1, -7, NULL, NULL));
    CHECK(has_text(cache, "n", "-2"));
    CHECK_STATUS(LARDER_OK, set_text(cache, "n", "9223372036854775807"));
    CHECK_STATUS(LARDER_NOT_A_NUMBER, larder_increment(cache, bytes("n"), 1, 1, NULL, &sum));
    CHECK(has_text(cache, "n", "9223372036854775807") && sum == 5);
    CHECK_STATUS(LARDER_OK, larder_increment(cache, bytes("n"), 1, INT64_MIN, NULL, &sum));
    CHECK(sum == -1);
    CHECK_STATUS(LARDER_OK, larder_increment(cache, bytes("low"), 3, INT64_MIN, NULL, &sum));
    CHECK(has_text(cache, "low", "-9223372036854775808"));
    CHECK_STATUS(LARDER_NOT_A_NUMBER, larder_increment(cache, bytes("low"), 3, -1, NULL, &sum));
    CHECK_STATUS(LARDER_OK, set_text(cache, "text", "12 monkeys"));
    CHECK_STATUS(LARDER_NOT_A_NUMBER, larder_increment(cache, bytes("text"), 4, 1, NULL, &sum));
    CHECK_STATUS(LARDER_OK, larder_set(cache, bytes("text"), 4, NULL, 0));
    CHECK_STATUS(LARDER_NOT_A_NUMBER, larder_increment(cache, bytes("text"), 4, 1, NULL, &sum));
    larder_free(cache);
}

static void tags(void) {
    larder_cache *cache = new_cache(4 * MIB);
    uint32_t end = 0, many[64], i;
    larder_set_options options = tagged("red", &end);
    uint64_t stamp = 0, later = 0;

    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "1", &options));
    CHECK_STATUS(LARDER_OK, set_text(cache, "b", "2"));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("blue"), 4, false));
    CHECK(has_text(cache, "a", "1"));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("red"), 3, true));
    CHECK(has_text(cache, "a", "1"));
    CHECK(state(cache, "a", LARDER_GET_LEASE) == LARDER_REFRESH);
    CHECK(state(cache, "a", LARDER_GET_LEASE) == LARDER_STALE);
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("red"), 3, false));
    CHECK(!has_text(cache, "a", "1"));
    CHECK(has_text(cache, "b", "2"));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_delete(cache, bytes("a"), 1));
    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "1", &options));
    CHECK(has_text(cache, "a", "1"));

    /* What was fetched before the tag was invalidated is invalid from the start. */
    CHECK_STATUS(LARDER_OK, larder_stamp(cache, &stamp));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("red"), 3, false));
    CHECK_STATUS(LARDER_OK, larder_stamp(cache, &later));
    CHECK(later > stamp);
    options.flags = LARDER_SET_AS_OF;
    options.as_of = stamp;
    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "old", &options));
    CHECK(!has_text(cache, "a", "old"));
    options.as_of = later;
    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "new", &options));
    CHECK(has_text(cache, "a", "new"));
    /* A stamp that was never given protects from nothing. */
    options.as_of = UINT64_MAX;
    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "future", &options));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("red"), 3, false));
    CHECK(!has_text(cache, "a", "future"));

    /* The empty tag is a tag; as many as are allowed, all of them empty, with no bytes at all. */
    options = plain();
    memset(many, 0, sizeof many);
    options.tag_ends = many;
    options.tag_count = 64;
    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "1", &options));
    CHECK(has_text(cache, "a", "1"));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, NULL, 0, false));
    CHECK(!has_text(cache, "a", "1"));
    /* Each of 64 counts. */
    for (i = 0; i < 64; i++) {
        many[i] = i + 1;
    }
    options.tags = bytes("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/");
    CHECK_STATUS(LARDER_OK, set_with(cache, "a", "1", &options));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("!"), 1, false));
    CHECK(has_text(cache, "a", "1"));
    CHECK_STATUS(LARDER_OK, larder_invalidate_tag(cache, bytes("/"), 1, false));
    CHECK(!has_text(cache, "a", "1"));
    larder_free(cache);
}

static void loads(void) {
    larder_cache *cache = new_cache(4 * MIB);
    uint64_t token = 0, other = 0;
    const uint8_t *k = bytes("k");
    uint8_t *big = (uint8_t *)malloc((size_t)MIB + 1);
    REQUIRE(big != NULL);
    memset(big, 1, (size_t)MIB + 1);

    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_OK, larder_load_begin(cache, k, 1, &other));
    CHECK(token == other);
    CHECK_STATUS(LARDER_OK, larder_load_end(cache, k, 1, token, bytes("loaded"), 6, NULL));
    CHECK(has_text(cache, "k", "loaded"));
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_end(cache, k, 1, token, bytes("again"), 5, NULL));
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_cancel(cache, k, 1, token));
    CHECK(has_text(cache, "k", "loaded"));

    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_OK, set_text(cache, "k", "set"));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &other));
    CHECK(token != other);
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_end(cache, k, 1, token, bytes("old"), 3, NULL));
    CHECK(has_text(cache, "k", "set"));
    CHECK_STATUS(LARDER_OK, larder_load_cancel(cache, k, 1, other));
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_cancel(cache, k, 1, other));
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_cancel(cache, k, 1, 0));

    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_OK, larder_delete(cache, k, 1));
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_end(cache, k, 1, token, bytes("old"), 3, NULL));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_OK, larder_clear(cache));
    CHECK_STATUS(LARDER_SUPERSEDED, larder_load_end(cache, k, 1, token, bytes("old"), 3, NULL));

    /* Whatever the status, the load has ended. */
    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_load_end(cache, k, 1, token, big, (size_t)MIB + 1, NULL));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_end(cache, k, 1, token, NULL, 1, NULL));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_load_begin(cache, k, 1, &token));
    CHECK_STATUS(LARDER_OK, larder_load_cancel(cache, k, 1, token));
    free(big);
    larder_free(cache);
}

static void options_of_the_cache(void) {
    larder_options options = budget(4 * MIB);
    larder_cache *cache = NULL;
    larder_entry_info info;
    const double wrong[] = {-0.1, 1.1, 1e300, -1e300};
    double zero = 0;
    uint64_t least = UINT64_MAX, most = 0;
    char key[32];
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.ttl_jitter = wrong[i];
        CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    }
    options.ttl_jitter = zero / zero;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.ttl_jitter = 0;
    options.sliding = 2;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));
    options.sliding = UINT64_MAX;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_new(&options, &cache));

    options.sliding = 1;
    options.ttl_jitter = 0.5;
    options.default_ttl_ms = 1000 * HOUR;
    CHECK_STATUS(LARDER_OK, larder_new(&options, &cache));
    for (i = 0; i < 200; i++) {
        sprintf(key, "key%u", (unsigned)i);
        CHECK_STATUS(LARDER_OK, set_text(cache, key, "v"));
        CHECK_STATUS(LARDER_OK, look(cache, key, 0, &info));
        /* An hour for the machine to stop in. */
        CHECK(info.ttl_ms <= 1000 * HOUR && info.ttl_ms >= 499 * HOUR);
        least = info.ttl_ms < least ? info.ttl_ms : least;
        most = info.ttl_ms > most ? info.ttl_ms : most;
    }
    CHECK(most - least > 100 * HOUR);
    CHECK_STATUS(LARDER_OK, larder_set_ttl(cache, bytes("eon"), 3, bytes("v"), 1, UINT64_MAX));
    CHECK(has_text(cache, "eon", "v"));
    larder_free(cache);
}

/* Every function that takes options, with these: the status, for good values of all else. */
static void check_options(const larder_cache *cache, larder_status expected, const larder_set_options *options) {
    uint64_t token = 0;
    int64_t sum = 0;
    const uint8_t *k = bytes("opt");
    larder_call call;
    CHECK_STATUS(expected, larder_set_with(cache, k, 3, k, 1, options));
    CHECK_STATUS(expected, larder_add(cache, k, 3, k, 1, options));
    CHECK_STATUS(expected, larder_compare_and_swap(cache, k, 3, k, 1, 1, options, NULL));
    CHECK_STATUS(expected, larder_increment(cache, k, 3, 1, options, &sum));
    larder_load_begin(cache, k, 3, &token);
    CHECK_STATUS(expected, larder_load_end(cache, k, 3, token, k, 1, options));
    memset(&call, 0, sizeof call);
    call.cache = cache;
    call.key = k;
    call.key_len = 3;
    call.options = options;
    CHECK_STATUS(expected, larder_call_set(&call));
}

static void arguments_are_checked(void) {
    const uint64_t max_bytes = 4 * MIB;
    const size_t too_long = (size_t)(max_bytes / 4) + 1;
    larder_cache *cache = new_cache(max_bytes);
    uint8_t *big = (uint8_t *)calloc(1, too_long);
    uint8_t buf[16];
    size_t len = 77;
    const uint8_t *k = bytes("key");
    uint64_t n = 77, entries = 77;
    int64_t sum = 77;
    uint32_t ends[65] = {0};
    larder_set_options options;
    larder_entry_info info;
    REQUIRE(big != NULL);
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;

    /* NULL where there must be something. */
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set_with(NULL, k, 3, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set_with(cache, NULL, 3, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_set_with(cache, k, 3, NULL, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(NULL, k, 3, buf, sizeof buf, &len, 0, &info));
    CHECK(len == 0);
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, NULL, 3, buf, sizeof buf, &len, 0, &info));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, k, 3, NULL, 16, &len, 0, &info));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, k, 3, buf, sizeof buf, &len, 0, NULL));
    CHECK_STATUS(LARDER_NOT_FOUND, larder_get_with(cache, k, 3, buf, sizeof buf, NULL, 0, &info));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_add(NULL, k, 3, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_add(cache, NULL, 3, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_add(cache, k, 3, NULL, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_compare_and_swap(NULL, k, 3, k, 3, 1, NULL, &n));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_compare_and_swap(cache, NULL, 3, k, 3, 1, NULL, &n));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_compare_and_swap(cache, k, 3, NULL, 3, 1, NULL, &n));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_touch(NULL, k, 3, 1));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_touch(cache, NULL, 3, 1));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_increment(NULL, k, 3, 1, NULL, &sum));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_increment(cache, NULL, 3, 1, NULL, &sum));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_mark_stale(NULL, k, 3));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_mark_stale(cache, NULL, 3));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_invalidate_tag(NULL, k, 3, false));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_invalidate_tag(cache, NULL, 3, false));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_stamp(NULL, &n));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_stamp(cache, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_begin(NULL, k, 3, &n));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_begin(cache, NULL, 3, &n));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_begin(cache, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_end(NULL, k, 3, 1, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_end(cache, NULL, 3, 1, k, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_end(cache, k, 3, 1, NULL, 3, NULL));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_cancel(NULL, k, 3, 1));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_load_cancel(cache, NULL, 3, 1));
    CHECK(n == 77 && sum == 77);

    /* Too long. */
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_set_with(cache, big, MAX_KEY + 1, k, 3, NULL));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_get_with(cache, big, MAX_KEY + 1, buf, 16, &len, 0, &info));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE,
                 larder_get_with(cache, big, MAX_KEY + 1, buf, 16, &len, LARDER_GET_VERSION, &info));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_add(cache, big, MAX_KEY + 1, k, 3, NULL));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_compare_and_swap(cache, big, MAX_KEY + 1, k, 3, 1, NULL, &n));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_touch(cache, big, MAX_KEY + 1, 1));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_increment(cache, big, MAX_KEY + 1, 1, NULL, &sum));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_mark_stale(cache, big, MAX_KEY + 1));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_load_begin(cache, big, MAX_KEY + 1, &n));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_load_end(cache, big, MAX_KEY + 1, 1, k, 3, NULL));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_load_cancel(cache, big, MAX_KEY + 1, 1));
    CHECK_STATUS(LARDER_KEY_TOO_LARGE, larder_touch(cache, k, SIZE_MAX, 1));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_set_with(cache, k, 3, big, too_long, NULL));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_set_with(cache, k, 3, big, SIZE_MAX, NULL));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_add(cache, k, 3, big, too_long, NULL));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_compare_and_swap(cache, k, 3, big, too_long, 1, NULL, &n));
    CHECK_STATUS(LARDER_VALUE_TOO_LARGE, larder_load_end(cache, k, 3, 1, big, too_long, NULL));

    /* Flags and sizes that no version knows. */
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, k, 3, buf, 16, &len, 1u << 31, &info));
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, k, 3, buf, 16, &len, UINT64_MAX, &info));
    info.struct_size = 0;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, k, 3, buf, 16, &len, 0, &info));
    info.struct_size = sizeof info + 8;
    CHECK_STATUS(LARDER_INVALID_ARGUMENT, larder_get_with(cache, k, 3, buf, 16, &len, 0, &info));
    CHECK(info.struct_size == sizeof info + 8 && info.version == 0);
    options = plain();
    options.struct_size = 0;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options.struct_size = sizeof options - 8;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options.struct_size = sizeof options + 8;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options = plain();
    options.flags = 16;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options.flags = UINT64_MAX;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);

    /* Tags. */
    options = plain();
    options.tags = k;
    options.tag_ends = ends;
    options.tag_count = 65;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options.tag_count = SIZE_MAX;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options.tag_count = 2;
    options.tag_ends = NULL;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    options.tag_ends = ends;
    ends[0] = 2;
    ends[1] = 1;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    ends[0] = UINT32_MAX;
    ends[1] = 3;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);
    ends[0] = 0;
    options.tags = NULL;
    check_options(cache, LARDER_INVALID_ARGUMENT, &options);

    /* After all that the cache is as it was. */
    CHECK_STATUS(LARDER_OK, larder_len(cache, &entries));
    CHECK(entries == 0 && count_sets(cache) == 0);
    CHECK_STATUS(LARDER_OK, larder_stamp(cache, &n));
    CHECK(n != 77);

    /* Empty keys and values are keys and values. */
    CHECK_STATUS(LARDER_OK, larder_set_with(cache, NULL, 0, NULL, 0, NULL));
    info.struct_size = sizeof info;
    CHECK_STATUS(LARDER_OK, larder_get_with(cache, NULL, 0, NULL, 0, &len, LARDER_GET_VERSION, &info));
    CHECK(len == 0);
    CHECK_STATUS(LARDER_OK, larder_compare_and_swap(cache, NULL, 0, NULL, 0, info.version, NULL, NULL));
    CHECK_STATUS(LARDER_EXISTS, larder_add(cache, NULL, 0, NULL, 0, NULL));
    CHECK_STATUS(LARDER_OK, larder_touch(cache, NULL, 0, HOUR));
    CHECK_STATUS(LARDER_OK, larder_mark_stale(cache, NULL, 0));
    CHECK_STATUS(LARDER_NOT_A_NUMBER, larder_increment(cache, NULL, 0, 1, NULL, NULL));

    /* Closed. */
    CHECK_STATUS(LARDER_OK, larder_close(cache));
    n = 77;
    CHECK_STATUS(LARDER_CLOSED, larder_set_with(cache, k, 3, k, 3, NULL));
    CHECK_STATUS(LARDER_CLOSED, larder_get_with(cache, k, 3, buf, 16, &len, 0, &info));
    CHECK_STATUS(LARDER_CLOSED, larder_get_with(cache, k, 3, buf, 16, &len, LARDER_GET_VERSION, &info));
    CHECK_STATUS(LARDER_CLOSED, larder_add(cache, k, 3, k, 3, NULL));
    CHECK_STATUS(LARDER_CLOSED, larder_compare_and_swap(cache, k, 3, k, 3, 1, NULL, &n));
    CHECK_STATUS(LARDER_CLOSED, larder_touch(cache, k, 3, 1));
    CHECK_STATUS(LARDER_CLOSED, larder_increment(cache, k, 3, 1, NULL, &sum));
    CHECK_STATUS(LARDER_CLOSED, larder_mark_stale(cache, k, 3));
    CHECK_STATUS(LARDER_CLOSED, larder_invalidate_tag(cache, k, 3, true));
    CHECK_STATUS(LARDER_CLOSED, larder_stamp(cache, &n));
    CHECK_STATUS(LARDER_CLOSED, larder_load_begin(cache, k, 3, &n));
    CHECK_STATUS(LARDER_CLOSED, larder_load_end(cache, k, 3, 1, k, 3, NULL));
    CHECK_STATUS(LARDER_CLOSED, larder_load_cancel(cache, k, 3, 1));
    CHECK(n == 77 && sum == 77);
    free(big);
    larder_free(cache);
}

int main(void) {
    what_is_said_of_a_value();
    conditions();
    tags();
    loads();
    options_of_the_cache();
    arguments_are_checked();
    return check_summary("extended");
}
