/**
 * Assertions of the core. VSR_ASSERT is in every build; VSR_DCHECK, for checks above O(1), in debug
 * and sanitizer builds (VSR_DEBUG_CHECKS).
 */
#ifndef VSR_CORE_ASSERT_H
#define VSR_CORE_ASSERT_H

/** Prints the claim that does not hold and aborts. The one function that the core needs of a host.
 */
_Noreturn void vsr_panic(const char *claim, const char *file, int line);

#define VSR_ASSERT(claim)                                                                          \
    do {                                                                                           \
        if (!(claim)) vsr_panic(#claim, __FILE__, __LINE__);                                       \
    } while (0)

#ifdef VSR_DEBUG_CHECKS
#define VSR_DCHECK(claim) VSR_ASSERT(claim)
#else
#define VSR_DCHECK(claim)                                                                          \
    do {                                                                                           \
        (void)sizeof(claim);                                                                       \
    } while (0)
#endif

#endif
