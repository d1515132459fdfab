/**
 * The end of a process whose caller is wrong. See misuse.h.
 */
#include "misuse.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void vsr_node_misuse(const char *function, const char *what)
{
    fprintf(stderr, "vsr: %s is called wrongly: %s\n", function, what);
    abort();
}
