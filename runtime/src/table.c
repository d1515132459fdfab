/**
 * See table.h.
 */
#include "table.h"

#include "memory.h"

#include <stddef.h>

static size_t chunk_bytes(const struct act_table *table, uint32_t chunk)
{
    return ((size_t)table->element_bytes << TABLE_BITS_MIN) << chunk;
}

void act_table_init(struct act_table *table, uint32_t element_bytes)
{
    ACT_ASSERT(element_bytes > 0);
    *table = (struct act_table){.element_bytes = element_bytes};
}

void act_table_deinit(struct act_table *table)
{
    for (uint32_t i = 0; i < table->chunk_count; i++)
        act_memory_unmap(table->chunks[i], chunk_bytes(table, i));
    act_table_init(table, table->element_bytes);
}

bool act_table_grow(struct act_table *table)
{
    ACT_ASSERT(table->chunk_count <= TABLE_CHUNKS);
    if (table->chunk_count == TABLE_CHUNKS) return false;
    /* Mapped, not taken: zeroed pages that cost nothing until they are touched. */
    uint8_t *chunk = act_memory_map(chunk_bytes(table, table->chunk_count));
    if (chunk == NULL) return false;
    table->capacity += (1u << TABLE_BITS_MIN) << table->chunk_count;
    table->chunks[table->chunk_count++] = chunk;
    return true;
}
