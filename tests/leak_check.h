/**
 * Leaks fail a Criterion suite.
 *
 * LeakSanitizer reports a leak at the end of a Criterion test, but the test passes. In ASan builds a
 * suite declared with LEAK_CHECKED_SUITE looks for leaks itself after each test, and ends the test's
 * process: an assertion of Criterion's that fails after a test, in .fini, changes nothing.
 */
#ifndef TESTS_LEAK_CHECK_H
#define TESTS_LEAK_CHECK_H

#include <criterion/criterion.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_CHECKED 1
#endif
#endif

#ifdef LEAKS_ARE_CHECKED
int __lsan_do_recoverable_leak_check(void);

static void leak_check(void)
{
    if (__lsan_do_recoverable_leak_check() != 0) abort();
}
#else
static void leak_check(void)
{
}
#endif

#define LEAK_CHECKED_SUITE(name) TestSuite(name, .fini = leak_check)

#endif
