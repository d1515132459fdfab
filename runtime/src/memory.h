/**
 * Where the runtime's memory comes from: malloc, or jemalloc where the build asks for it.
 *
 * Every allocation goes through here, so that a test can make the n-th one fail.
 */
#ifndef ACT_SRC_MEMORY_H
#define ACT_SRC_MEMORY_H

#include <stddef.h>

/** Zeroed memory that begins on a cache line, or NULL. */
void *act_memory_take(size_t bytes);
/** memory may be NULL. */
void act_memory_give(void *memory, size_t bytes);
/** Zeroed pages that cost nothing until they are touched, or NULL. */
void *act_memory_map(size_t bytes);
void act_memory_unmap(void *memory, size_t bytes);

/** For tests: fails the n-th take or map from now (1 = the next); 0 = none. */
void act_memory_fail_at(unsigned long nth);
/** For tests: bytes taken and mapped and not given back. */
size_t act_memory_held(void);

#endif
