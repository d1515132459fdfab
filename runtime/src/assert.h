/**
 * Assertions of the runtime: ACT_ASSERT in every build, ACT_DCHECK in debug and sanitizer builds.
 */
#ifndef ACT_SRC_ASSERT_H
#define ACT_SRC_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define ACT_ASSERT(claim)                                                                          \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "act: broken invariant: %s (%s:%d)\n", #claim, __FILE__, __LINE__);    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#ifdef ACT_DEBUG_CHECKS
#define ACT_DCHECK(claim) ACT_ASSERT(claim)
#else
#define ACT_DCHECK(claim)                                                                          \
    do {                                                                                           \
        (void)sizeof(claim);                                                                       \
    } while (0)
#endif

#endif
