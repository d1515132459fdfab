/**
 * How an object and its arrays lie in the one block that its host gives: each on cache lines of its
 * own.
 */
#ifndef VSR_CORE_LAYOUT_H
#define VSR_CORE_LAYOUT_H

#include <stddef.h>

/** Reserves the next bytes of the block, of which *at are reserved. Returns where they begin. */
static inline size_t layout_reserve(size_t *at, size_t bytes)
{
    const size_t start = *at;

    *at = (start + bytes + 63) & ~(size_t)63;
    return start;
}

#endif
