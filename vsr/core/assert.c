/**
 * The end of a process whose invariant is broken.
 */
#include "assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void vsr_panic(const char *claim, const char *file, int line)
{
    fprintf(stderr, "vsr: broken invariant: %s (%s:%d)\n", claim, file, line);
    abort();
}
