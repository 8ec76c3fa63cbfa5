/* Threads: readers, writers, deleters, resizers and iterators at once, values that name their key and carry a checksum;
 * then a close in the middle of it all. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "helpers.h"

enum { KEYS = 2000, THREADS = 6, ROUNDS = 60000, MAX_VALUE = 4000 };

typedef struct {
    const larder_cache *cache;
    uint64_t seed;
    int until_closed; /* go on until the cache says so, instead of for ROUNDS */
    uint64_t hits, sets, wrong, unexpected;
} worker;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* 8 bytes of key number, 8 of a seed, then bytes that follow from both. */
static size_t make_value(uint8_t *value, uint64_t key, uint64_t seed) {
    const size_t len = 16 + (size_t)(seed % (MAX_VALUE - 16));
    size_t i;
    memcpy(value, &key, 8);
    memcpy(value + 8, &seed, 8);
    for (i = 16; i < len; i++) {
        value[i] = (uint8_t)(seed + key + i * 7);
    }
    return len;
}

static int value_is_right(const uint8_t *value, size_t len, uint64_t key) {
    uint64_t stored_key, seed;
    size_t i;
    if (len < 16) {
        return 0;
    }
    memcpy(&stored_key, value, 8);
    memcpy(&seed, value + 8, 8);
    if (stored_key != key || len != 16 + (size_t)(seed % (MAX_VALUE - 16))) {
        return 0;
    }
    for (i = 16; i < len; i++) {
        if (value[i] != (uint8_t)(seed + key + i * 7)) {
            return 0;
        }
    }
    return 1;
}

static void *hammer(void *argument) {
    worker *w = (worker *)argument;
    uint8_t value[MAX_VALUE], key_bytes[8];
    uint64_t state = w->seed;
    long round;
    for (round = 0; w->until_closed || round < ROUNDS; round++) {
        const uint64_t key = next_random(&state) % KEYS, what = next_random(&state) % 100;
        larder_status status;
        size_t len = 0;
        memcpy(key_bytes, &key, 8);
        if (what < 60) {
            status = larder_get(w->cache, key_bytes, 8, value, sizeof value, &len);
            if (status == LARDER_OK) {
                w->hits++;
                w->wrong += !value_is_right(value, len, key);
            } else if (status != LARDER_NOT_FOUND && status != LARDER_CLOSED) {
                w->unexpected++;
            }
        } else if (what < 95) {
            len = make_value(value, key, next_random(&state));
            status = what < 90 ? larder_set(w->cache, key_bytes, 8, value, len)
                               : larder_set_ttl(w->cache, key_bytes, 8, value, len, 1 + what % 20);
            w->sets += status == LARDER_OK;
            w->unexpected += status != LARDER_OK && status != LARDER_CLOSED;
        } else if (what < 99) {
            status = larder_delete(w->cache, key_bytes, 8);
            w->unexpected += status != LARDER_OK && status != LARDER_NOT_FOUND && status != LARDER_CLOSED;
        } else if (next_random(&state) % 50 == 0) {
            status = larder_resize(w->cache, (2 + next_random(&state) % 4) * MIB);
            w->unexpected += status != LARDER_OK && status != LARDER_CLOSED;
        } else {
            uint8_t some[2 * MAX_VALUE];
            larder_cursor cursor;
            cursor.position = 0;
            status = larder_iterate(w->cache, &cursor, some, sizeof some, &len);
            w->unexpected += status != LARDER_OK && status != LARDER_NOT_FOUND && status != LARDER_BUFFER_TOO_SMALL &&
                             status != LARDER_CLOSED;
        }
        if (status == LARDER_CLOSED) {
            break;
        }
    }
    return NULL;
}

static void run(int until_closed) {
    larder_cache *cache = new_cache(4 * MIB);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    uint64_t hits = 0, sets = 0;
    int i;
    memset(workers, 0, sizeof workers);
    for (i = 0; i < THREADS; i++) {
        workers[i].cache = cache;
        workers[i].seed = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        workers[i].until_closed = until_closed;
        REQUIRE(pthread_create(&threads[i], NULL, hammer, &workers[i]) == 0);
    }
    if (until_closed) {
        struct timespec t;
        t.tv_sec = 0;
        t.tv_nsec = 200 * 1000000;
        (void)nanosleep(&t, NULL);
        CHECK_STATUS(LARDER_OK, larder_close(cache));
    }
    for (i = 0; i < THREADS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
        CHECK(workers[i].wrong == 0);
        CHECK(workers[i].unexpected == 0);
        hits += workers[i].hits;
        sets += workers[i].sets;
    }
    CHECK(hits > 0 && sets > 0);
    if (!until_closed) {
        larder_stats_t stats;
        memset(&stats, 0, sizeof stats);
        stats.struct_size = sizeof stats;
        CHECK_STATUS(LARDER_OK, larder_stats(cache, &stats));
        CHECK(stats.hits == hits);
        CHECK(stats.sets == sets);
        CHECK(stats.bytes <= stats.max_bytes);
    }
    larder_free(cache);
}

int main(void) {
    run(0);
    run(1);
    return check_summary("threads");
}
