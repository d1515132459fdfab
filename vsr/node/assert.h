/**
 * Assertions of the node: NODE_ASSERT for what is ours, NODE_REQUIRE for what a user owes us.
 */
#ifndef VSR_NODE_ASSERT_H
#define VSR_NODE_ASSERT_H

/** Prints the claim that does not hold and aborts. */
_Noreturn void vsr_panic(const char *claim, const char *file, int line);

#define NODE_ASSERT(claim)                                                                         \
    do {                                                                                           \
        if (!(claim)) vsr_panic(#claim, __FILE__, __LINE__);                                       \
    } while (0)

/** Says which function was called how, and aborts. */
_Noreturn void vsr_node_misuse(const char *function, const char *what);

#define NODE_REQUIRE(claim, what)                                                                  \
    do {                                                                                           \
        if (!(claim)) vsr_node_misuse(__func__, what);                                             \
    } while (0)

#endif
