/**
 * The client table: one entry per session, a pure function of the executed log, plus the primary's
 * `pending` numbers, a pure function of the log's suffix.
 *
 * A session names its entry by slot, so a lookup is one indexed load. The cached reply lies in the
 * entry; for small results everything a request touches is one cache line.
 * Source: VRR §4.1 step 2; eviction and registration in log order, DESIGN.md.
 */
#ifndef VSR_CORE_CLIENT_TABLE_H
#define VSR_CORE_CLIENT_TABLE_H

#include "assert.h"

#include <vsr/message.h>
#include <vsr/state_machine.h>
#include <vsr/types.h>

#define CLIENT_ENTRY_ALIGN 64u

/** Slots that share a bound; see oldest_slot(). */
enum { CLIENT_BLOCK = 256 };

struct vsr_client_entry {
    vsr_session session;   /* 0 = free: nothing is next of it, see pending */
    uint64_t number;       /* of the last request executed */
    uint64_t pending;      /* primary: of the last request in the log; >= number there; free: -1 */
    vsr_op last_op;        /* op of the last request executed, or of the Register */
    vsr_address address;   /* where the replies go */
    uint32_t next_free;    /* free: the slot + 1 that was freed before it; 0 = none */
    uint32_t result_bytes; /* with what follows: the cached reply, a struct vsr_result */
};

_Static_assert(sizeof(struct vsr_client_entry) == 48, "leaves 16 bytes of its line for a result");

/** The session that a slot had before. */
struct vsr_client_past {
    vsr_session session; /* 0 = none */
    uint64_t number;     /* of its last request executed */
};

struct vsr_client_table {
    uint8_t *entries;             /* capacity of them, `stride` bytes each */
    uint64_t (*ids)[2];           /* client id of each slot */
    struct vsr_client_past *past; /* of each slot */
    vsr_op *bounds;               /* of each block of slots: no last_op in it is smaller */
    uint32_t *index;              /* open addressing by client id: slot + 1, 0 = empty */
    uint32_t index_mask;
    uint32_t capacity;
    uint32_t stride;
    uint32_t count; /* slots in use or used before: 0 .. count - 1 */
    uint32_t free;  /* the slot + 1 that was freed last; 0 = none */
    uint32_t open;  /* sessions */
    uint64_t evictions;
    uint64_t blocks_read; /* for evictions: their whole cost but for a look at the bounds */
};

static inline struct vsr_client_entry *vsr_client_table_at(const struct vsr_client_table *table,
                                                           uint32_t slot)
{
    return (struct vsr_client_entry *)(void *)(table->entries + (size_t)slot * table->stride);
}

/** The cached reply of an entry. */
static inline struct vsr_result *vsr_client_entry_result(struct vsr_client_entry *entry)
{
    return (struct vsr_result *)(void *)&entry->result_bytes;
}

/** The entry whose cached reply this is. */
static inline const struct vsr_client_entry *vsr_client_entry_of(const struct vsr_result *result)
{
    return (const struct vsr_client_entry *)(const void *)((const uint8_t *)result -
                                                           offsetof(struct vsr_client_entry,
                                                                    result_bytes));
}

/** The entry of a session that is open, or NULL. Any slot and session may be asked for. */
static inline struct vsr_client_entry *vsr_client_table_find(const struct vsr_client_table *table,
                                                             vsr_session session, uint32_t slot)
{
    if (slot >= table->count) return NULL;
    struct vsr_client_entry *entry = vsr_client_table_at(table, slot);
    return entry->session == session ? entry : NULL;
}

/** Whether a session was the last one that its slot had before. */
static inline bool vsr_client_table_has_left(const struct vsr_client_table *table,
                                             vsr_session session, uint32_t slot)
{
    return slot < table->count && session != 0 && table->past[slot].session == session;
}

/** Bytes of memory for a table. */
size_t vsr_client_table_bytes(uint32_t capacity, uint32_t result_bytes_max);

/** Memory: zeroed, 64-byte aligned, of vsr_client_table_bytes(). */
void vsr_client_table_init(struct vsr_client_table *table, void *memory, uint32_t capacity,
                           uint32_t result_bytes_max);

/**
 * Executes a Register: opens a session, or finds the one that this client id has.
 *
 * A slot that was freed is used first. When the table is full the session whose last op is the
 * oldest goes (the lowest slot among equals), so every replica evicts the same one.
 *
 * Returns: its slot.
 */
uint32_t vsr_client_table_register(struct vsr_client_table *table,
                                   const struct vsr_register *request, vsr_op op);

/** Executes a Close: the session's slot is the next to be given out. Returns whether there was one.
 */
bool vsr_client_table_close(struct vsr_client_table *table, vsr_session session, uint32_t slot);

/** Appends a slot as a snapshot has it: a session, or, with session 0, a free slot. Returns its
 * entry, or NULL when the table is full or has the id. */
struct vsr_client_entry *vsr_client_table_restore(struct vsr_client_table *table,
                                                  const struct vsr_register *request,
                                                  vsr_session session);

/** Closes every session. */
void vsr_client_table_clear(struct vsr_client_table *table);

/** The slot of a client id, or UINT32_MAX. */
uint32_t vsr_client_table_slot_of(const struct vsr_client_table *table, const uint64_t id[2]);

#endif
