/**
 * The client table. See client_table.h.
 */
#include "client_table.h"

#include "checksum.h"

#include <string.h>

static uint32_t entry_stride(uint32_t result_bytes_max)
{
    uint32_t bytes = (uint32_t)sizeof(struct vsr_client_entry) + result_bytes_max;
    return (bytes + CLIENT_ENTRY_ALIGN - 1) & ~(CLIENT_ENTRY_ALIGN - 1);
}

/** Twice the sessions at least, so that probing stays short. */
static uint32_t index_size(uint32_t capacity)
{
    uint32_t size = 4;
    while (size < capacity * 2)
        size *= 2;
    return size;
}

static uint32_t block_count(uint32_t slots)
{
    return (slots + CLIENT_BLOCK - 1) / CLIENT_BLOCK;
}

size_t vsr_client_table_bytes(uint32_t capacity, uint32_t result_bytes_max)
{
    size_t bytes = (size_t)capacity * entry_stride(result_bytes_max);
    bytes += (size_t)capacity * (sizeof(uint64_t[2]) + sizeof(struct vsr_client_past));
    bytes += block_count(capacity) * sizeof(vsr_op);
    bytes += (size_t)index_size(capacity) * sizeof(uint32_t);
    return (bytes + CLIENT_ENTRY_ALIGN - 1) & ~(size_t)(CLIENT_ENTRY_ALIGN - 1);
}

void vsr_client_table_init(struct vsr_client_table *table, void *memory, uint32_t capacity,
                           uint32_t result_bytes_max)
{
    uint8_t *at = memory;

    VSR_ASSERT((uintptr_t)memory % CLIENT_ENTRY_ALIGN == 0);
    VSR_ASSERT(capacity > 0);
    VSR_ASSERT(capacity <= VSR_SESSIONS_MAX);
    *table = (struct vsr_client_table){
        .entries = at,
        .capacity = capacity,
        .stride = entry_stride(result_bytes_max),
        .index_mask = index_size(capacity) - 1,
    };
    at += (size_t)capacity * table->stride;
    table->ids = (uint64_t(*)[2])(void *)at;
    at += (size_t)capacity * sizeof *table->ids;
    table->past = (struct vsr_client_past *)(void *)at;
    at += (size_t)capacity * sizeof *table->past;
    table->bounds = (vsr_op *)(void *)at;
    at += block_count(capacity) * sizeof *table->bounds;
    table->index = (uint32_t *)(void *)at;
    at += ((size_t)table->index_mask + 1) * sizeof *table->index;
    VSR_ASSERT((size_t)(at - (uint8_t *)memory) <=
               vsr_client_table_bytes(capacity, result_bytes_max));
}

void vsr_client_table_clear(struct vsr_client_table *table)
{
    VSR_ASSERT(table->count <= table->capacity);
    VSR_ASSERT(table->open <= table->count);
    VSR_ASSERT(table->free <= table->count);
    table->count = table->free = table->open = 0;
    table->evictions = 0;
    memset(table->bounds, 0, block_count(table->capacity) * sizeof *table->bounds);
    memset(table->index, 0, ((size_t)table->index_mask + 1) * sizeof *table->index);
}

static uint32_t index_home(const struct vsr_client_table *table, const uint64_t id[2])
{
    return (uint32_t)vsr_checksum_of(0, id, sizeof(uint64_t[2])) & table->index_mask;
}

/** Where in the index the id is, or the empty place where it would go. */
static uint32_t index_find(const struct vsr_client_table *table, const uint64_t id[2])
{
    uint32_t at = index_home(table, id);

    while (table->index[at] != 0) {
        const uint64_t *held = table->ids[table->index[at] - 1];
        if (held[0] == id[0] && held[1] == id[1]) break;
        at = (at + 1) & table->index_mask;
    }
    return at;
}

uint32_t vsr_client_table_slot_of(const struct vsr_client_table *table, const uint64_t id[2])
{
    return table->index[index_find(table, id)] - 1; /* 0 - 1 is UINT32_MAX */
}

/** Removes an id from the index and closes the gap, so that no tombstones gather. */
static void index_remove(struct vsr_client_table *table, const uint64_t id[2])
{
    uint32_t hole = index_find(table, id);
    uint32_t at = hole;

    VSR_ASSERT(table->index[hole] != 0);
    for (;;) {
        at = (at + 1) & table->index_mask;
        if (table->index[at] == 0) break;
        uint32_t home = index_home(table, table->ids[table->index[at] - 1]);
        /* It may move to the hole when its home does not lie between the hole and itself. */
        if (((at - home) & table->index_mask) < ((at - hole) & table->index_mask)) continue;
        table->index[hole] = table->index[at];
        hole = at;
    }
    table->index[hole] = 0;
}

static uint32_t oldest_in_block(const struct vsr_client_table *table, uint32_t block)
{
    uint32_t slot = block * CLIENT_BLOCK;
    const uint32_t end = table->count - slot < CLIENT_BLOCK ? table->count : slot + CLIENT_BLOCK;
    uint32_t oldest = slot;
    vsr_op last_op = vsr_client_table_at(table, slot)->last_op;

    VSR_ASSERT(slot < table->count);
    while (++slot < end) {
        const vsr_op other = vsr_client_table_at(table, slot)->last_op;
        if (other >= last_op) continue;
        last_op = other;
        oldest = slot;
    }
    return oldest;
}

/**
 * The session whose last op is the oldest; the lowest slot among equals.
 *
 * A last op only rises, so what was the smallest of a block stays a bound from below, and executing
 * an operation has nothing to keep up. The block with the smallest bound is looked at; its bound
 * rises to what is there, and when it was that already, nothing elsewhere is older. A block is
 * looked at again only if its oldest session was used or evicted meanwhile.
 */
static uint32_t oldest_slot(struct vsr_client_table *table)
{
    const uint32_t blocks = block_count(table->count);

    VSR_ASSERT(table->count > 0 && table->free == 0); /* all are open */
    for (;;) {
        uint32_t lowest = 0;
        for (uint32_t block = 1; block < blocks; block++)
            if (table->bounds[block] < table->bounds[lowest]) lowest = block;
        const uint32_t slot = oldest_in_block(table, lowest);
        table->blocks_read++;
        const vsr_op last_op = vsr_client_table_at(table, slot)->last_op;
        VSR_ASSERT(last_op >= table->bounds[lowest]);
        if (last_op == table->bounds[lowest]) return slot;
        table->bounds[lowest] = last_op;
    }
}

/** Frees the slot of a session, and notes what it was. */
static void leave_slot(struct vsr_client_table *table, uint32_t slot)
{
    const struct vsr_client_entry *entry = vsr_client_table_at(table, slot);

    VSR_ASSERT(slot < table->count);
    VSR_ASSERT(entry->session != 0);
    VSR_ASSERT(table->open > 0);
    index_remove(table, table->ids[slot]);
    table->past[slot] =
        (struct vsr_client_past){.session = entry->session, .number = entry->number};
    table->open--;
}

static uint32_t take_slot(struct vsr_client_table *table)
{
    if (table->free != 0) {
        const uint32_t slot = table->free - 1;
        VSR_ASSERT(slot < table->count && vsr_client_table_at(table, slot)->session == 0);
        table->free = vsr_client_table_at(table, slot)->next_free;
        return slot;
    }
    if (table->count < table->capacity) {
        table->past[table->count] = (struct vsr_client_past){0};
        return table->count++;
    }
    VSR_ASSERT(table->open == table->capacity); /* no slot is free */
    const uint32_t slot = oldest_slot(table);
    leave_slot(table, slot);
    table->evictions++;
    return slot;
}

/** Puts a session into a slot that has none. */
static struct vsr_client_entry *settle(struct vsr_client_table *table, uint32_t slot,
                                       const struct vsr_register *request, vsr_session session)
{
    struct vsr_client_entry *entry = vsr_client_table_at(table, slot);

    VSR_ASSERT(session != 0 && slot < table->count);
    *entry = (struct vsr_client_entry){
        .session = session, .last_op = session, .address = request->address};
    table->ids[slot][0] = request->client_id[0];
    table->ids[slot][1] = request->client_id[1];
    table->index[index_find(table, request->client_id)] = slot + 1;
    table->open++;
    VSR_ASSERT(table->open <= table->count);
    return entry;
}

uint32_t vsr_client_table_register(struct vsr_client_table *table,
                                   const struct vsr_register *request, vsr_op op)
{
    uint32_t slot = vsr_client_table_slot_of(table, request->client_id);
    if (slot != UINT32_MAX) return slot;

    slot = take_slot(table);
    VSR_ASSERT(table->past[slot].session < op); /* as a snapshot is asked when it is loaded */
    settle(table, slot, request, op);
    return slot;
}

/** Nothing is the next request of a free slot, and its address stays: the Close is answered there.
 */
static void make_free(struct vsr_client_table *table, uint32_t slot, uint32_t next_free)
{
    struct vsr_client_entry *entry = vsr_client_table_at(table, slot);

    VSR_ASSERT(slot < table->count);
    VSR_ASSERT(next_free <= table->count);
    table->ids[slot][0] = table->ids[slot][1] = 0;
    entry->session = 0;
    entry->number = 0;
    entry->pending = UINT64_MAX;
    entry->result_bytes = 0;
    entry->next_free = next_free;
}

bool vsr_client_table_close(struct vsr_client_table *table, vsr_session session, uint32_t slot)
{
    if (session == 0 || vsr_client_table_find(table, session, slot) == NULL) return false;
    leave_slot(table, slot);
    make_free(table, slot, table->free);
    table->free = slot + 1;
    return true;
}

struct vsr_client_entry *vsr_client_table_restore(struct vsr_client_table *table,
                                                  const struct vsr_register *request,
                                                  vsr_session session)
{
    if (table->count == table->capacity) return NULL;
    if (session != 0 && vsr_client_table_slot_of(table, request->client_id) != UINT32_MAX)
        return NULL;
    const uint32_t slot = table->count++;
    if (session != 0) return settle(table, slot, request, session);
    make_free(table, slot, 0);
    return vsr_client_table_at(table, slot);
}
