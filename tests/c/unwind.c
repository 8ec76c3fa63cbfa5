/* The archive has its unwind tables: without them a panic in the library can't be caught, and ends
 * the program instead of returning LARDER_PANIC. Whoever unwinds from a function that the library
 * calls comes back to main. Linked with the archive only, where the program's function is found
 * before the system's. */

#include "helpers.h"

#include <sys/types.h>
#include <unwind.h>

int main(void);

static int calls, came_home;

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *unused) {
    (void)unused;
    if (_Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(context) - 1)) == (void *)&main) {
        came_home = 1;
    }
    return _URC_NO_REASON;
}

ssize_t getrandom(void *buffer, size_t len, unsigned flags) {
    (void)flags;
    calls++;
    _Unwind_Backtrace(frame, NULL);
    memset(buffer, 7, len);
    return (ssize_t)len;
}

int main(void) {
    larder_options options = {0};
    larder_cache *cache;
    options.struct_size = sizeof options;
    options.max_bytes = 1 << 20;
    CHECK(larder_new(&options, &cache) == LARDER_OK);
    CHECK(calls > 0);
    CHECK(came_home);
    larder_free(cache);
    return check_summary("unwind");
}
