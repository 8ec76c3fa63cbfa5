/* Read-through: ask the cache first, ask the slow source on a miss, and let the buffer grow to what the value needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <larder.h>

static unsigned slow_reads;

/* Stands for a database: the answer for `id` is some kilobytes long. */
static size_t slow_source(unsigned id, uint8_t **value) {
    const size_t len = 1000 * (id % 7 + 1);
    slow_reads++;
    *value = malloc(len);
    if (*value != NULL) {
        memset(*value, (int)('a' + id % 26), len);
    }
    return len;
}

/* The value of `id`, in memory that the caller frees; NULL without memory. */
static uint8_t *read_through(const larder_cache *cache, unsigned id, size_t *len) {
    size_t room = 512;
    uint8_t *value = malloc(room);
    while (value != NULL) {
        const larder_status status = larder_get(cache, (const uint8_t *)&id, sizeof id, value, room, len);
        if (status == LARDER_OK) {
            return value;
        }
        free(value);
        if (status != LARDER_BUFFER_TOO_SMALL) {
            break; /* a miss; after larder_close every get is one, too */
        }
        room = *len; /* nothing was written; another thread may have stored a longer value since, hence the loop */
        value = malloc(room);
    }
    *len = slow_source(id, &value);
    if (value != NULL) {
        /* A full or closed cache is no reason to fail: the value is at hand. */
        (void)larder_set(cache, (const uint8_t *)&id, sizeof id, value, *len);
    }
    return value;
}

int main(void) {
    larder_options options;
    larder_cache *cache = NULL;
    unsigned i;

    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.max_bytes = 8 << 20;
    if (larder_new(&options, &cache) != LARDER_OK) {
        return 1;
    }
    for (i = 0; i < 10000; i++) {
        size_t len;
        uint8_t *value = read_through(cache, i % 100, &len);
        if (value == NULL || len != 1000 * (i % 100 % 7 + 1) || value[len - 1] != 'a' + i % 100 % 26) {
            return 1;
        }
        free(value);
    }
    printf("10000 reads of 100 values, %u from the slow source\n", slow_reads);
    larder_free(cache);
    return slow_reads == 100 ? 0 : 1;
}
