/* What every test program here shares: checks that say where and what, and a summary line. */
#ifndef LARDER_TESTS_CHECK_H
#define LARDER_TESTS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

static int checks_passed;
static int checks_failed;

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (condition) {                                                         \
            checks_passed++;                                                     \
        } else {                                                                 \
            checks_failed++;                                                     \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                        \
    } while (0)

/* Compares a status and names both when they differ. */
#define CHECK_STATUS(expected, call)                                                             \
    do {                                                                                         \
        larder_status check_got = (larder_status)(call);                                         \
        if (check_got == (expected)) {                                                           \
            checks_passed++;                                                                     \
        } else {                                                                                 \
            checks_failed++;                                                                     \
            fprintf(stderr, "%s:%d: %s returned %d (%s), not %s\n", __FILE__, __LINE__, #call,   \
                    (int)check_got, larder_status_message(check_got), #expected);                \
        }                                                                                        \
    } while (0)

/* Stops the program: what follows makes no sense without it. */
#define REQUIRE(condition)                                                                   \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: required: %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

/* The value of main: 0 only when at least one check ran and none failed. */
static inline int check_summary(const char *name) {
    printf("%-12s %d checks passed, %d failed\n", name, checks_passed, checks_failed);
    return checks_failed == 0 && checks_passed > 0 ? 0 : 1;
}

#endif
