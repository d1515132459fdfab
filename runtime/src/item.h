/**
 * What a lane carries: a message, or a message's memory on its way home.
 *
 * Messages begin on a cache line, so the lowest bits of an item are free: the lowest is the lane's
 * own (lane.c), the next ones hold the size class on the way home, so that the pool it comes back
 * to need not touch the memory.
 */
#ifndef ACT_SRC_ITEM_H
#define ACT_SRC_ITEM_H

#include "cpu.h"

#include <stdint.h>

struct message;

enum { ITEM_CLASS_SHIFT = 1, ITEM_CLASSES = CPU_LINE_BYTES >> ITEM_CLASS_SHIFT };

/** A message for its receiver. */
static inline uintptr_t item_of_message(const struct message *m)
{
    return (uintptr_t)m;
}

/** A message's memory for the pool it came from. Shape: size_class < ITEM_CLASSES. */
static inline uintptr_t item_of_memory(const struct message *m, uint32_t size_class)
{
    return (uintptr_t)m | (uintptr_t)size_class << ITEM_CLASS_SHIFT;
}

/** The message of either kind of item. */
static inline struct message *item_message(uintptr_t item)
{
    return (struct message *)(item & ~(uintptr_t)(CPU_LINE_BYTES - 1));
}

static inline uint32_t item_size_class(uintptr_t item)
{
    return (uint32_t)(item & (CPU_LINE_BYTES - 1)) >> ITEM_CLASS_SHIFT;
}

#endif
