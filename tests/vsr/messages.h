/**
 * Messages between views, and logs that nobody has to hold: what a test says to one replica.
 */
#ifndef VSR_TESTS_MESSAGES_H
#define VSR_TESTS_MESSAGES_H

#include "fixture.h"

/** The body of a buffer, or the first captured message of a type, as what it is. */
#define BODY(buffer, type) ((struct type *)(void *)(buffer).header)
#define SENT(f, TYPE, type) ((const struct type *)(const void *)fixture_sent(f, TYPE, 0))

enum { CHAIN_MAX = 160 };

/** Entries 1 .. op: a Register that opens session 1 in slot 0, then its requests 1, 2, ... */
struct chain {
    struct vsr_buffer entry[CHAIN_MAX + 1];
    vsr_op op;
    uint32_t replica_count;
};

/** Entries 1 .. op, first prepared in view 0. */
struct chain chain_make(uint32_t replica_count, vsr_op op);
/** One entry more. Another variant at the same op is another entry. */
void chain_append(struct chain *c, vsr_view view, uint64_t variant);
/** The first `op` entries of it, to go on differently. */
struct chain chain_fork(const struct chain *c, vsr_op op);
void chain_free(struct chain *c);
/** Of the entry at op; 0 for op 0. */
vsr_checksum chain_checksum(const struct chain *c, vsr_op op);
/** To a backup in the chain's view: Prepares up to op, a Commit of commit, the end of the turn. */
void chain_feed(struct fixture *f, const struct chain *c, vsr_op op, vsr_op commit);
/** Replica 2 of 3 with the chain's first entries. */
struct fixture *chain_backup(const struct chain *c, vsr_op op, vsr_op commit);
/** Whether the replica's log ends at op with this chain's entry. */
bool chain_is_log(const struct chain *c, const struct fixture *f, vsr_op op);

/* Each gives a buffer. `c` is the sender's log, which ends at op. */

struct vsr_buffer make_vote(const struct fixture *f, uint32_t from, vsr_view target);
struct vsr_buffer make_do_view_change(const struct fixture *f, uint32_t from, vsr_view view,
                                      vsr_view log_view, const struct chain *c, vsr_op op,
                                      vsr_op commit);
/** From the view's primary. */
struct vsr_buffer make_start_view(const struct fixture *f, vsr_view view, const struct chain *c,
                                  vsr_op op, vsr_op commit);
struct vsr_buffer make_get_state(const struct fixture *f, uint32_t from, const struct chain *c,
                                 vsr_op op, vsr_op commit, uint32_t flags);
/** Answers the last question of the replica, with the entries base + 1 .. end of c. */
struct vsr_buffer make_new_state(const struct fixture *f, uint32_t from, const struct chain *c,
                                 vsr_op base, vsr_op end, vsr_op op, vsr_op commit);
struct vsr_buffer make_ping(const struct fixture *f, uint32_t from, vsr_view view);
struct vsr_buffer make_pong(const struct fixture *f, uint32_t from, vsr_view view,
                            const struct chain *c, vsr_op op, vsr_op commit);
struct vsr_buffer make_recovery(const struct fixture *f, uint32_t from, vsr_view view,
                                uint64_t nonce);
/** Answers the replica's Recovery. */
struct vsr_buffer make_recovery_response(const struct fixture *f, uint32_t from, vsr_view view,
                                         const struct chain *c, vsr_op op, vsr_op commit);
struct vsr_buffer make_get_chunk(const struct fixture *f, uint32_t from,
                                 const struct vsr_snapshot *snapshot, uint64_t offset);
/** Answers the last question of the replica: bytes of a snapshot that `donor` has taken. */
struct vsr_buffer make_chunk(const struct fixture *f, uint32_t from, const struct fixture *donor,
                             uint64_t offset, uint32_t bytes);

/** The replicas that captured messages of a type go to, as a mask. */
uint32_t receivers(const struct fixture *f, enum vsr_message_type type);
/** Votes of as many others as it takes to leave for a view. */
void leave(struct fixture *f, vsr_view view);
/** Ticks until a message of this type is sent; returns after how many, or fails after `most`. */
uint32_t tick_until_sent(struct fixture *f, enum vsr_message_type type, uint32_t most);

#endif
