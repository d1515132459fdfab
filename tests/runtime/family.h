/**
 * A supervisor's children under test: what each has lived through, in shared order.
 */
#ifndef TESTS_RUNTIME_FAMILY_H
#define TESTS_RUNTIME_FAMILY_H

#include "fixture.h"

#include <act/supervisor.h>

#include <string.h>

enum {
    KIDS = 4,
    TYPE_BORN = 0x300,
    TYPE_END,  /* the kid ends with the reason in the message */
    TYPE_HANG, /* the kid's handler does not return until the gate opens */
};

/** One kid in all its lives; it is the context of its specification. */
struct kid {
    atomic_uint starts;     /* states made */
    atomic_uint births;     /* first messages */
    atomic_uint ends;       /* `stopped` */
    atomic_int reason;      /* of the last end */
    atomic_uint started_at; /* on the family's clock */
    atomic_uint ended_at;
    atomic_ullong born_ns;
    atomic_uint create_fails; /* so many more times */
    atomic_uint discards;
    struct gate gate;
};

static struct kid kids[KIDS];
static atomic_uint family_clock;
static atomic_ullong overdue_id;
static char overdue_name[ACT_NAME_MAX + 1];

static const char *const kid_names[KIDS] = {"kid-0", "kid-1", "kid-2", "kid-3"};

static inline int kid_create(void *context, void **state)
{
    struct kid *k = context;

    if (atomic_load(&k->create_fails) > 0) {
        atomic_fetch_sub(&k->create_fails, 1);
        return -1;
    }
    atomic_fetch_add(&k->starts, 1);
    *state = k;
    return 0;
}

static inline void kid_discard(void *context, void *state)
{
    struct kid *k = context;

    cr_assert_eq(context, state);
    atomic_fetch_add(&k->discards, 1);
}

static inline void kid_receive(void *state, struct act_message *m)
{
    struct kid *k = state;

    if (m->type == TYPE_BORN) {
        atomic_store(&k->started_at, atomic_fetch_add(&family_clock, 1) + 1);
        atomic_store(&k->born_ns, act_now_ns());
        atomic_fetch_add(&k->births, 1);
    } else if (m->type == TYPE_END) {
        act_exit((int)*(uint64_t *)m->body);
    } else if (m->type == TYPE_HANG) {
        wait_at_gate(NULL, &k->gate);
    }
    act_message_unref(m);
}

static inline void kid_stopped(void *state, int reason)
{
    struct kid *k = state;

    atomic_store(&k->reason, reason);
    atomic_store(&k->ended_at, atomic_fetch_add(&family_clock, 1) + 1);
    atomic_fetch_add(&k->ends, 1);
}

static const struct act_behaviour kid_behaviour = {.receive = kid_receive, .stopped = kid_stopped};

static inline void note_overdue(void *context, const char *name, act_id child)
{
    (void)context;
    strcpy(overdue_name, name);
    atomic_store(&overdue_id, child);
}

/** Specifications of so many permanent kids, on the workers in turn. */
static inline void family_specify(struct act_child *specs, uint32_t workers)
{
    atomic_store(&family_clock, 0);
    atomic_store(&overdue_id, 0);
    memset(kids, 0, sizeof kids);
    for (uint32_t i = 0; i < KIDS; i++)
        specs[i] = (struct act_child){.name = kid_names[i],
                                      .behaviour = &kid_behaviour,
                                      .context = &kids[i],
                                      .create = kid_create,
                                      .discard = kid_discard,
                                      .first_type = TYPE_BORN,
                                      .place = ACT_PLACE_ON(i % workers)};
}

/** For wait_until: a kid has been born, or has ended, so often. */
struct so_often {
    atomic_uint *counter;
    uint32_t times;
};

static inline bool has_come(void *argument)
{
    const struct so_often *o = argument;
    return atomic_load(o->counter) >= o->times;
}

static inline void await_count(atomic_uint *counter, uint32_t times)
{
    struct so_often o = {.counter = counter, .times = times};
    cr_assert(wait_until(has_come, &o), "%u of %u", atomic_load(counter), times);
}

static inline void await_births(uint32_t times)
{
    for (uint32_t i = 0; i < KIDS; i++)
        await_count(&kids[i].births, times);
}

/** Has a kid's life end, and waits until it has. */
static inline void end_kid(uint32_t i, uint64_t reason)
{
    const uint32_t ends = atomic_load(&kids[i].ends);

    cr_assert_eq(send_value(act_find(kid_names[i]), TYPE_END, reason), 0);
    await_count(&kids[i].ends, ends + 1);
}

/** Ends a supervisor and waits for that; returns the reason. */
static inline int end_family(struct world *w, act_id supervisor, int reason)
{
    cr_assert_eq(act_monitor(supervisor), 0);
    cr_assert_eq(act_supervisor_stop(supervisor, reason), 0);
    struct act_down down = expect_down(w);
    cr_assert_eq(down.actor, supervisor);
    return down.reason;
}

static struct world w;
static struct act_child specs[KIDS];
static struct act_supervisor_options options;

/** A runtime, and options of a supervisor of all kids; then the test may change them. */
static inline void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);

    world_start(&w, &o);
    family_specify(specs, workers);
    act_supervisor_options_init(&options);
    options.children = specs;
    options.child_count = KIDS;
    options.overdue = note_overdue;
}

/** The supervisor that `options` say, and all its kids are born. */
static inline act_id found(void)
{
    act_id id;

    cr_assert_eq(act_supervisor_spawn(&options, &id), 0);
    await_births(1);
    return id;
}

#endif
