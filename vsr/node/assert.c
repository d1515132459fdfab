/**
 * The end of a process whose caller is wrong. See assert.h.
 */
#include "assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void vsr_node_misuse(const char *function, const char *what)
{
    fprintf(stderr, "vsr: %s is called wrongly: %s\n", function, what);
    abort();
}
