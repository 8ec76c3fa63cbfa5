/* The smallest useful program: make a cache, store a value, read it back. */
#include <stdio.h>
#include <string.h>

#include <larder.h>

int main(void) {
    larder_options options;
    larder_cache *cache = NULL;
    larder_status status;
    uint8_t value[256];
    size_t len;

    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.max_bytes = 64 << 20; /* 64 MiB for everything: keys, values, index, bookkeeping */
    status = larder_new(&options, &cache);
    if (status != LARDER_OK) {
        fprintf(stderr, "larder_new: %s\n", larder_status_message(status));
        return 1;
    }

    larder_set_ttl(cache, (const uint8_t *)"soup", 4, (const uint8_t *)"tomato", 6, 60 * 1000);

    status = larder_get(cache, (const uint8_t *)"soup", 4, value, sizeof value, &len);
    if (status == LARDER_OK) {
        printf("soup: %.*s\n", (int)len, (const char *)value);
    } else {
        printf("soup: %s\n", larder_status_message(status));
    }

    larder_free(cache);
    return status == LARDER_OK ? 0 : 1;
}
