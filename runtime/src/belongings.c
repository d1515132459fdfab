/**
 * See belongings.h.
 *
 * An actor's are chained; the chains begin in an array by slot, which is mapped, so that it costs
 * what is used of it, and never has to grow.
 */
#include "belongings.h"

#include "memory.h"
#include "registry.h"

#include <errno.h>

void act_belongings_init(struct act_belongings *b, uint32_t slot_count, uint64_t secret)
{
    ACT_ASSERT(slot_count > 0);
    *b = (struct act_belongings){.slot_count = slot_count, .secret = secret};
    act_table_init(&b->table, sizeof(struct belonging));
}

void act_belongings_deinit(struct act_belongings *b)
{
    act_memory_unmap(b->first, b->slot_count * sizeof *b->first);
    act_table_deinit(&b->table);
    *b = (struct act_belongings){0};
}

/** The place of an owner's chain. */
static uint32_t *chain_of(const struct act_belongings *b, act_id owner)
{
    ACT_ASSERT(id_slot(owner) < b->slot_count);
    return &b->first[id_slot(owner)];
}

/** An index that is free. */
static bool take_index(struct act_belongings *b, uint32_t *index)
{
    if (b->free != 0) {
        *index = b->free - 1;
        b->free = belonging_at(b, *index)->next;
        return true;
    }
    if (b->used == b->table.capacity && !act_table_grow(&b->table)) return false;
    *index = b->used++;
    return true;
}

int act_belongings_take(struct act_belongings *b, act_id owner, uint32_t *index)
{
    ACT_ASSERT(owner != ACT_ID_NONE);
    if (b->first == NULL) b->first = act_memory_map(b->slot_count * sizeof *b->first);
    if (b->first == NULL || !take_index(b, index)) return -ENOMEM;
    struct belonging *it = belonging_at(b, *index);
    uint32_t *chain = chain_of(b, owner);

    ACT_ASSERT(it->owner == ACT_ID_NONE);
    *it = (struct belonging){.owner = owner, .generation = it->generation, .next = *chain};
    if (*chain != 0) belonging_at(b, *chain - 1)->previous = *index + 1;
    *chain = *index + 1;
    b->count++;
    return 0;
}

void act_belongings_give(struct act_belongings *b, uint32_t index)
{
    struct belonging *it = belonging_at(b, index);

    ACT_ASSERT(it->owner != ACT_ID_NONE);
    ACT_ASSERT(b->count > 0);
    if (it->previous != 0)
        belonging_at(b, it->previous - 1)->next = it->next;
    else
        *chain_of(b, it->owner) = it->next;
    if (it->next != 0) belonging_at(b, it->next - 1)->previous = it->previous;
    it->owner = ACT_ID_NONE;
    b->count--;
    /* An index that has had every generation is not used again: so no name ever repeats. */
    if (++it->generation == 0) return;
    it->next = b->free;
    b->free = index + 1;
}

uint32_t act_belongings_first(const struct act_belongings *b, act_id owner)
{
    return b->first != NULL ? *chain_of(b, owner) : 0;
}

uint64_t act_belongings_name(const struct act_belongings *b, uint32_t index)
{
    struct belonging *it = belonging_at(b, index);
    uint64_t name = ((uint64_t)it->generation << 32 | index) ^ b->secret;

    if (name != 0) return name;
    it->generation++; /* Nobody has been told its name yet. */
    return ((uint64_t)it->generation << 32 | index) ^ b->secret;
}

bool act_belongings_find(const struct act_belongings *b, act_id owner, uint64_t name,
                         uint32_t *index)
{
    const uint64_t plain = name ^ b->secret;

    ACT_ASSERT(owner != ACT_ID_NONE);
    if (name == 0 || (uint32_t)plain >= b->used) return false;
    const struct belonging *it = belonging_at(b, (uint32_t)plain);
    if (it->owner != owner || it->generation != (uint32_t)(plain >> 32)) return false;
    *index = (uint32_t)plain;
    return true;
}
