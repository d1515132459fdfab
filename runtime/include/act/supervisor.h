/**
 * Supervisors: actors that start others, and start them again when they fail, but not for ever.
 *
 * A supervisor starts its children in order, from specifications, and is linked to each: if it
 * fails itself, they end with its reason. A child that ends is started again, as its specification
 * says, after a back-off. More than restarts_max starts anew within window_ns, and it gives up: it
 * stops its children in reverse order, one after another, and ends with ACT_REASON_RESTARTS. A
 * start that fails counts as a failure of the child.
 *
 * Children are stopped with ACT_REASON_SHUTDOWN. One that does not end within stop_ns is told of by
 * its name (overdue); it is left to itself, and the supervisor stops the others and ends with
 * ACT_REASON_OVERDUE.
 */
#ifndef ACT_SUPERVISOR_H
#define ACT_SUPERVISOR_H

#include <act/actor.h>
#include <act/types.h>

ACT_DECLARATIONS_BEGIN

enum { ACT_CHILDREN_MAX = 1024, ACT_RESTARTS_MAX = 256 };

/** Which ends of a child have it started again. */
enum act_restart {
    ACT_RESTART_PERMANENT, /* every one */
    ACT_RESTART_TRANSIENT, /* failures: reasons other than 0 */
    ACT_RESTART_TEMPORARY, /* none */
};

/** Who is started again. */
enum act_strategy {
    ACT_ONE_FOR_ONE, /* the child that has ended */
    ACT_ONE_FOR_ALL, /* all: the others are stopped first, in reverse order */
};

/** What its pointers lead to outlives the supervisor. */
struct act_child {
    const char *name; /* as of act_spawn, and for `overdue`; NULL = none */
    const struct act_behaviour *behaviour;
    void *context;
    /* Makes the state for a start, on the supervisor's worker; 0, or anything else when it cannot.
     * NULL: the context is the state. The behaviour's `stopped` releases it. */
    int (*create)(void *context, void **state);
    void (*discard)(void *context, void *state); /* of a start that failed then; NULL = nothing */
    uint32_t first_type;  /* of an empty message that it gets first; 0 = none */
    uint32_t place;       /* as of act_spawn */
    uint32_t mailbox_max; /* likewise */
    enum act_restart restart;
};

/** Where a comment begins with a number, that is the default. */
struct act_supervisor_options {
    const struct act_child *children; /* in the order of their start; copied */
    uint32_t child_count;             /* 1..ACT_CHILDREN_MAX */
    enum act_strategy strategy;       /* ACT_ONE_FOR_ONE */
    uint32_t restarts_max;            /* 3; 0..ACT_RESTARTS_MAX */
    uint64_t window_ns;               /* 5 s; at least 1 ns */
    uint64_t backoff_ns;     /* 0: at once; else so long, twice as long for each in the window */
    uint64_t backoff_max_ns; /* 1 s */
    uint64_t stop_ns;        /* 5 s, for each child; UINT64_MAX waits without end */
    void (*overdue)(void *context, const char *name, act_id child); /* NULL; on its worker */
    void *context;
    const char *name; /* its own; NULL = none; borrowed for the call */
    uint32_t place;   /* its own, as of act_spawn */
};

/** Fills in the defaults. */
void act_supervisor_options_init(struct act_supervisor_options *options);

/**
 * Starts a supervisor, which then starts its children.
 *
 * Who wants to know when it ends monitors it. act_stop ends it without waiting for its children,
 * which are told to stop. It traps exits: a linked one that fails makes it stop its children and
 * end with that reason.
 *
 * Ownership: borrows options.
 * Threads:   as act_spawn.
 * Returns:   0 and its id in *id, -EPERM for a thread without a port, -EINVAL for an option out of
 *            range, -ENAMETOOLONG, also for a child's name, -ENOMEM, or as act_spawn.
 */
int act_supervisor_spawn(const struct act_supervisor_options *options, act_id *id) ACT_MUST_CHECK;

/**
 * Asks a supervisor to stop its children in reverse order, and then to end with a reason.
 *
 * Threads: as act_send.
 * Returns: 0, also when it is gone; -EPERM for a thread without a port; -ENOMEM; or as act_send.
 */
int act_supervisor_stop(act_id supervisor, int reason) ACT_MUST_CHECK;

ACT_DECLARATIONS_END

#endif
