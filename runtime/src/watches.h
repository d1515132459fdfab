/**
 * Who watches whom, of an endpoint's actors: found by both ids, and by one's own list.
 *
 * A watch is a message of the runtime's own that has been kept: at the watched one it is the
 * request, to be sent back when he ends; at the watcher what will call it off when he ends first.
 * So the end of an actor needs no memory. Touched by the endpoint's thread alone.
 */
#ifndef ACT_SRC_WATCHES_H
#define ACT_SRC_WATCHES_H

#include "pool.h"
#include "registry.h"

#include <act/actor.h>

/** The body of such a message. */
struct watch {
    struct act_down down; /* for its way back */
    act_id owner;         /* in whose list it is */
    act_id other;
    struct act_message *next; /* in the owner's list */
    struct act_message *previous;
};

struct act_watches {
    struct act_message **buckets; /* [bucket_count], a power of two; chained by header.next */
    uint32_t bucket_count;        /* 0: only `first` */
    uint32_t count;
    struct act_message *first; /* the bucket that needs no memory */
};

void act_watches_deinit(struct act_watches *watches);

/** Keeps a message for an actor. Ownership: takes m. */
void act_watches_add(struct act_watches *watches, struct act_actor *actor, act_id owner,
                     act_id other, struct act_message *m);
/** Whether the owner has one of that type for the other. */
bool act_watches_has(const struct act_watches *watches, act_id owner, act_id other, uint32_t type);
/**
 * Takes one of that type for the other. Costs the same however many there are, but for those of
 * the same pair.
 *
 * Ownership: gives the caller the message; NULL when there is none.
 */
struct act_message *act_watches_take(struct act_watches *watches, struct act_actor *actor,
                                     act_id owner, act_id other, uint32_t type);
/** Takes any one of an actor's; NULL when it has none. Ownership: as act_watches_take. */
struct act_message *act_watches_take_any(struct act_watches *watches, struct act_actor *actor);

static inline struct watch *watch_of(const struct act_message *m)
{
    return m->body;
}

#endif
