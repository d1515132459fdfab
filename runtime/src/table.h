/**
 * A table that grows without moving what is in it: chunks, each twice as long as the one before.
 *
 * Growing costs one mapping of memory, whatever the table holds: nobody waits for a copy. Touched
 * by one thread.
 */
#ifndef ACT_SRC_TABLE_H
#define ACT_SRC_TABLE_H

#include "assert.h"

#include <stdbool.h>
#include <stdint.h>

enum { TABLE_BITS_MIN = 6, TABLE_CHUNKS = 20 };

struct act_table {
    uint8_t *chunks[TABLE_CHUNKS]; /* chunk k has 64 << k elements */
    uint32_t element_bytes;
    uint32_t capacity; /* elements */
    uint32_t chunk_count;
};

void act_table_init(struct act_table *table, uint32_t element_bytes);
void act_table_deinit(struct act_table *table);
/** Adds zeroed elements. Returns false when there is no memory, or the table is at its bound. */
bool act_table_grow(struct act_table *table);

static inline void *table_at(const struct act_table *table, uint32_t index)
{
    const uint32_t position = index + (1u << TABLE_BITS_MIN);
    const uint32_t bits = 31u - (uint32_t)__builtin_clz(position);

    ACT_DCHECK(index < table->capacity);
    return table->chunks[bits - TABLE_BITS_MIN] +
           (uint64_t)(position - (1u << bits)) * table->element_bytes;
}

#endif
