/**
 * What the actors of an endpoint have started and not ended: it ends with them.
 *
 * Each belonging has a name that carries its scope: mixed with a secret of the endpoint, it means
 * nothing at another worker or in another runtime, and at home it is looked up for its owner only.
 * Touched by the endpoint's thread alone.
 */
#ifndef ACT_SRC_BELONGINGS_H
#define ACT_SRC_BELONGINGS_H

#include "cpu.h"
#include "table.h"

#include <act/types.h>

/** A timer or a call. Fields of the caller, but for the first four. */
struct belonging {
    act_id owner;        /* ACT_ID_NONE: free */
    uint32_t generation; /* of the index */
    uint32_t next;       /* index + 1 of the owner's next one, or of the next free one; 0 = none */
    uint32_t previous;   /* index + 1; 0 = it is the owner's first */

    uint32_t place;     /* in the schedule, or SCHEDULE_NOWHERE */
    uint32_t type;      /* of its messages; ACT_TYPE_TIMEOUT: it is a call */
    bool is_on_its_way; /* a message of a periodic timer waits to be handled */
    uint64_t cookie;    /* of a call: the callee */
    uint64_t period_ns; /* 0 = once */
    uint64_t periods;   /* that are over and not told */
};

_Static_assert(sizeof(struct belonging) <= CPU_LINE_BYTES, "one cache line each");

struct act_belongings {
    struct act_table table; /* of struct belonging */
    uint32_t *first;        /* [slot_count], index + 1; NULL until there is a belonging */
    uint32_t slot_count;    /* of the registry */
    uint32_t used;          /* 0 .. used-1 have been taken once */
    uint32_t free;          /* index + 1 */
    uint32_t count;
    uint64_t secret;
};

/** Shape: slot_count is the registry's; the secret differs between endpoints. */
void act_belongings_init(struct act_belongings *b, uint32_t slot_count, uint64_t secret);
void act_belongings_deinit(struct act_belongings *b);

/** Gives an actor one more. Returns 0 and its index, or -ENOMEM. Bounded, however many there are.
 */
int act_belongings_take(struct act_belongings *b, act_id owner, uint32_t *index);
/** Ends one. */
void act_belongings_give(struct act_belongings *b, uint32_t index);

/** Index + 1 of an actor's first one; 0 when it has none. */
uint32_t act_belongings_first(const struct act_belongings *b, act_id owner);
/** Never 0, and never the same one twice. */
uint64_t act_belongings_name(const struct act_belongings *b, uint32_t index);
/** Returns whether the owner has one of that name. */
bool act_belongings_find(const struct act_belongings *b, act_id owner, uint64_t name,
                         uint32_t *index);

static inline struct belonging *belonging_at(const struct act_belongings *b, uint32_t index)
{
    return table_at(&b->table, index);
}

#endif
