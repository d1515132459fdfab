/**
 * Actors: state that one worker at a time runs, and the messages between them.
 *
 * Threads: every function may be called from a handler (on a worker) and from a thread with an open
 * port, unless it says otherwise. None blocks.
 */
#ifndef ACT_ACTOR_H
#define ACT_ACTOR_H

#include <act/message.h>
#include <act/types.h>

#include <stdbool.h>

ACT_DECLARATIONS_BEGIN

struct act_runtime;

/**
 * What an actor does. One per kind of actor; it outlives them all.
 *
 * receive  takes the message: the handler ends it (act_message_unref), sends it on or keeps it.
 * turn_end runs after each turn, that is after the messages that were waiting (a bounded number),
 *          but for the turn in which the actor stops; the place to send what a turn's messages add
 *          up to. May be NULL.
 * stopped  is the last call an actor gets; it releases the state. May be NULL. It may send.
 */
struct act_behaviour {
    void (*receive)(void *state, struct act_message *message);
    void (*turn_end)(void *state);
    void (*stopped)(void *state, int reason);
};

/** Where a new actor lives: the spawner's worker (round robin when a port spawns), or worker k. */
#define ACT_PLACE_HERE 0u
#define ACT_PLACE_ON(k) ((uint32_t)(k) + 1u)

/*
 * The bound of a mailbox. Up to ACT_MAILBOX_EXACT_MAX it is exact: so many messages are accepted
 * and not handled, whoever sends; each costs an atomic addition. A larger one is counted where the
 * actor lives: each other worker or port may have ACT_LANE_MESSAGES_MAX more under way, if the
 * actor's worker is busy. What an actor sends itself, and the runtime's own messages (a stop, a
 * timer, DOWN, ROOM), pass any bound.
 */
struct act_spawn_options {
    const struct act_behaviour *behaviour; /* must outlive the actor */
    void *state;                           /* given to every handler; NULL is fine */
    uint32_t place;                        /* ACT_PLACE_HERE or ACT_PLACE_ON(worker) */
    uint32_t mailbox_max;                  /* its bound; 0 = the runtime's default */
    const char *name;                      /* for act_find; NULL = none; borrowed for the call */
};

struct act_down {
    act_id actor;
    int32_t reason;
    uint32_t reserved;
};

/**
 * Starts an actor.
 *
 * Ownership: borrows options; the state belongs to the actor until `stopped` has run.
 * Returns:   0 and its id in *id, -EINVAL for a missing receive or a worker that does not exist,
 *            -EEXIST for a name in use, -ENAMETOOLONG, -EAGAIN when actors_max are alive or
 *            the runtime stops, -ENOMEM for the name.
 */
int act_spawn(const struct act_spawn_options *options, act_id *id) ACT_MUST_CHECK;

/**
 * Asks an actor to stop once it has handled what this sender sent before.
 *
 * What then still waits in its mailbox becomes dead letters.
 * Returns:   0 (also when it is gone already), -EINVAL for an open port, which its owner closes,
 *            -EAGAIN when its lane is full, -EHOSTUNREACH when the id is another runtime's,
 *            -ENOMEM.
 */
int act_stop(act_id id, int reason) ACT_MUST_CHECK;

/**
 * Ends the running actor when its handler returns. Only from a handler; the last reason counts.
 *
 * 0 is a normal end, any other reason a failure. Either ends this actor alone: who monitors it is
 * told, and a failure ends who is linked to it. What still waits in its mailbox becomes dead
 * letters.
 */
void act_exit(int reason);

/** The running actor's id; in a port's thread the port's; ACT_ID_NONE elsewhere. */
act_id act_self(void);

/** Whether the calling thread is a worker: a call that waits for an actor would wait for itself. */
bool act_on_worker(void);

/** The runtime of the calling thread, which is a worker or has a port; NULL elsewhere. */
const struct act_runtime *act_current_runtime(void);

/**
 * Sends a message.
 *
 * Messages from one sender to one receiver arrive in the order sent. An accepted message is
 * delivered exactly once, or counted as a dead letter when the receiver is gone.
 *
 * A handler that is refused keeps the message, asks act_await_room and returns. One that tries
 * again until it is taken gets through to another worker, whose actors run meanwhile; but its own
 * worker's do not: at a receiver there it tries for ever, and so do two handlers at each other.
 *
 * Ownership: takes m on 0; on an error it stays with the caller.
 * Returns:   0, -EINVAL for a type of the runtime's own (ACT_TYPE_SYSTEM and above),
 *            -EAGAIN when the receiver's mailbox or the lane to its worker is full,
 *            -EHOSTUNREACH when the id is another runtime's.
 */
int act_send(act_id to, struct act_message *m) ACT_MUST_CHECK;

/**
 * Publishes what the running actor has sent so far, before its turn ends.
 *
 * For a message that starts long work on another worker while this turn goes on. Costs a cache line
 * per lane; a send in an ordinary turn needs no flush.
 */
void act_flush(void);

/**
 * Asks for one message of type ACT_TYPE_ROOM to the running actor once act_send(to) may succeed
 * again (or when `to` is gone). Only from a handler.
 *
 * Returns:   0, or -ENOMEM.
 */
int act_await_room(act_id to) ACT_MUST_CHECK;

/**
 * Asks for one message of type ACT_TYPE_DOWN when `target` stops (at once when it is gone).
 *
 * Asked twice, it is told twice. A monitor ends with the one who has set it.
 *
 * Returns:   0, -EAGAIN when its lane is full, -EHOSTUNREACH when the id is another runtime's,
 *            -ENOMEM.
 */
int act_monitor(act_id target) ACT_MUST_CHECK;

/**
 * Ends all monitors that the caller has set on `target`. No DOWN of theirs comes any more, also
 * none that is on its way.
 *
 * Returns: 0, -ENOENT when there is none (it was told already), -EAGAIN when its lane is full.
 */
int act_demonitor(act_id target) ACT_MUST_CHECK;

/**
 * Links the running actor and another one: the failure of either ends the other with its reason,
 * in order with what it had sent before; a normal end does not. Only from a handler.
 *
 * Links go both ways and are the same whoever sets them, and however often. An `other` that is gone
 * has failed with ACT_REASON_GONE. A port is told of it as one that traps exits, and does not fail.
 *
 * Returns: 0, -EPERM outside of a handler, -EINVAL for the running actor itself, or as act_monitor.
 */
int act_link(act_id other) ACT_MUST_CHECK;

/**
 * Makes the running actor trap exits, or no more: a linked one's end, a normal one too, is then a
 * message of type ACT_TYPE_EXIT instead. Actors begin without. Only from a handler.
 *
 * Returns: 0, -EPERM outside of a handler.
 */
int act_trap_exits(bool is_trapping) ACT_MUST_CHECK;

/** The actor of that name, or ACT_ID_NONE. Others that look at names may hold it up, briefly. */
act_id act_find(const char *name);

ACT_DECLARATIONS_END

#endif
