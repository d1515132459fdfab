/**
 * What a user owes us. (What we owe ourselves is VSR_ASSERT: ../core/assert.h.)
 */
#ifndef VSR_NODE_MISUSE_H
#define VSR_NODE_MISUSE_H

/** Says which function was called how, and aborts. */
_Noreturn void vsr_node_misuse(const char *function, const char *what);

#define NODE_REQUIRE(claim, what)                                                                  \
    do {                                                                                           \
        if (!(claim)) vsr_node_misuse(__func__, what);                                             \
    } while (0)

#endif
