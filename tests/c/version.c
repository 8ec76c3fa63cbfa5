/* The header, the library and pkg-config agree on the version. The build passes what Cargo.toml says as EXPECTED_VERSION. */
#include "helpers.h"

int main(void) {
    char text[64];
    CHECK(larder_abi_version() == LARDER_ABI_VERSION);
    CHECK(strcmp(larder_version(), LARDER_VERSION) == 0);
    CHECK(strcmp(LARDER_VERSION, EXPECTED_VERSION) == 0);
    snprintf(text, sizeof text, "%d.%d.%d", LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH);
    CHECK(strcmp(text, LARDER_VERSION) == 0);
    /* The one number grows with each of the three. */
    CHECK(LARDER_VERSION_NUMBER ==
          LARDER_VERSION_MAJOR * 10000 + LARDER_VERSION_MINOR * 100 + LARDER_VERSION_PATCH);
#if LARDER_VERSION_NUMBER < 100
    CHECK(!"the preprocessor knows the number too");
#endif
    return check_summary("version");
}
