/**
 * name -> id. Looked up when somebody asks, written when an actor with a name comes or goes.
 *
 * A name's place depends on its hash: each of some shards has a mutex and a table of its own.
 * An actor has one name at most, so it is found by the actor's slot when it ends.
 *
 * Threads: any; each call holds one shard's mutex for as long as it takes to look at a few names.
 */
#ifndef ACT_SRC_NAMES_H
#define ACT_SRC_NAMES_H

#include <act/types.h>

struct act_names;

/** Shape: slots of the registry. Returns NULL when there is no memory. */
struct act_names *act_names_create(uint32_t slots);
/** Ends the names that are still bound, too. */
void act_names_destroy(struct act_names *names);

/**
 * Binds a name to the actor that is about to live in a slot.
 *
 * Ownership: borrows name. Shape: at most ACT_NAME_MAX bytes.
 * Returns:   0, -EEXIST, -ENOMEM.
 */
int act_names_bind(struct act_names *names, const char *name, act_id id, uint32_t slot);
/** Unbinds the name of the actor in a slot. Threads: its home, or who has just bound it. */
void act_names_unbind(struct act_names *names, uint32_t slot);
/** Returns the id that is bound to the name, or ACT_ID_NONE. */
act_id act_names_find(struct act_names *names, const char *name);

/** For tests: nodes looked at so far. */
uint64_t act_names_looks(struct act_names *names);

#endif
