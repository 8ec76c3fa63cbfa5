/* larder and another Rust library, both static, in one program. */
#include <larder.h>
#include <stddef.h>

int other_seven(void);

int main(void) {
    larder_options options = {.struct_size = sizeof options, .max_bytes = 1 << 20};
    larder_cache *cache = NULL;
    uint8_t value[8];
    size_t len = 0;

    if (larder_new(&options, &cache) != LARDER_OK) return 1;
    if (larder_set(cache, (const uint8_t *)"a", 1, (const uint8_t *)"bc", 2) != LARDER_OK) return 2;
    if (other_seven() != 7) return 3;
    if (larder_get(cache, (const uint8_t *)"a", 1, value, sizeof value, &len) != LARDER_OK || len != 2) return 4;
    larder_free(cache);
    return 0;
}
