/**
 * See fixture.h.
 */
#include "fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/** What a TYPE_RUN message carries. */
struct run {
    void (*run)(struct probe *, void *);
    void *argument;
};

static uint64_t value_of(const struct act_message *m)
{
    uint64_t value = 0;

    if (m->body_bytes >= sizeof value) memcpy(&value, m->body, sizeof value);
    return value;
}

static void on_message(void *state, struct act_message *m)
{
    struct probe *p = state;

    if (m->type == TYPE_RUN) {
        struct run r;
        memcpy(&r, m->body, sizeof r);
        const act_id from = m->from;
        act_message_unref(m);
        p->self = act_self();
        r.run(p, r.argument);
        if (send_value(from, TYPE_RAN, 0) != 0) abort();
        return;
    }
    if (p->count < PROBE_LOG)
        p->log[p->count] = (struct received){.type = m->type,
                                             .turn = p->turns,
                                             .from = m->from,
                                             .value = value_of(m),
                                             .call = act_call_of(m)};
    p->count++;
    act_message_unref(m);
}

static void on_turn_end(void *state)
{
    struct probe *p = state;

    p->turns++;
    if (p->at_turn_end != NULL) p->at_turn_end(p);
}

static void on_stopped(void *state, int reason)
{
    struct probe *p = state;

    p->stops++;
    p->reason = reason;
    if (p->at_stop != NULL) p->at_stop(p);
}

const struct act_behaviour probe_behaviour = {
    .receive = on_message,
    .turn_end = on_turn_end,
    .stopped = on_stopped,
};

struct act_runtime_options world_options(uint32_t workers)
{
    struct act_runtime_options o;

    act_runtime_options_init(&o);
    o.workers = workers;
    o.ports_max = 1;
    return o;
}

/** They outlive the runtime, which calls their `stopped`. */
static struct probe probes[32];
static uint32_t probe_count;

void world_start(struct world *w, const struct act_runtime_options *options)
{
    struct act_error why = {{0}};

    probe_count = 0;
    cr_assert_eq(act_runtime_start(options, &w->runtime, &why), 0, "%s", why.text);
    cr_assert_eq(act_port_open(w->runtime, &w->port), 0);
    w->port_id = act_port_id(w->port);
}

void world_stop(struct world *w)
{
    act_port_close(w->port);
    cr_assert_eq(act_runtime_stop(w->runtime), 0, "messages were never ended");
}

struct probe *world_probe(struct world *w, uint32_t worker, uint32_t mailbox_max)
{
    struct probe *p = &probes[probe_count];
    const struct act_spawn_options o = {
        .behaviour = &probe_behaviour,
        .state = p,
        .place = ACT_PLACE_ON(worker),
        .mailbox_max = mailbox_max,
    };

    (void)w;
    cr_assert_lt(probe_count, sizeof probes / sizeof probes[0]);
    probe_count++;
    *p = (struct probe){0};
    cr_assert_eq(act_spawn(&o, &p->self), 0);
    return p;
}

void start_in(act_id actor, void (*run)(struct probe *, void *), void *argument)
{
    const struct run r = {.run = run, .argument = argument};
    const uint64_t end = act_now_ns() + PATIENCE;
    struct act_message *m = act_message_create(TYPE_RUN, sizeof r);
    int error;

    if (m == NULL) abort();
    memcpy(m->body, &r, sizeof r);
    while ((error = act_send(actor, m)) == -EAGAIN && act_now_ns() < end)
        sched_yield();
    if (error != 0) abort();
}

void run_in(struct world *w, act_id actor, void (*run)(struct probe *, void *), void *argument)
{
    start_in(actor, run, argument);
    expect(w, TYPE_RAN);
}

static void do_nothing(struct probe *p, void *argument)
{
    (void)p;
    (void)argument;
}

void world_sync(struct world *w, const struct probe *probe)
{
    run_in(w, probe->self, do_nothing, NULL);
}

void world_await(struct world *w, const struct probe *probe, uint32_t count)
{
    const uint64_t end = act_now_ns() + PATIENCE;

    world_sync(w, probe);
    while (probe->count < count && act_now_ns() < end)
        world_sync(w, probe);
    cr_assert_geq(probe->count, count, "messages are missing");
}

int world_end(struct world *w, const struct probe *probe, int reason)
{
    cr_assert_eq(act_monitor(probe->self), 0);
    cr_assert_eq(act_stop(probe->self, reason), 0);
    struct act_down down = expect_down(w);
    cr_assert_eq(down.actor, probe->self);
    return down.reason;
}

int send_value(act_id to, uint32_t type, uint64_t value)
{
    struct act_message *m = act_message_create(type, sizeof value);

    if (m == NULL) abort();
    memcpy(m->body, &value, sizeof value);
    int error = act_send(to, m);
    if (error != 0) act_message_unref(m);
    return error;
}

uint64_t expect(struct world *w, uint32_t type)
{
    struct act_message *m = act_port_receive(w->port, PATIENCE);

    cr_assert_not_null(m, "no message of type %#x came", type);
    cr_assert_eq(m->type, type, "type %#x came instead of %#x", m->type, type);
    uint64_t value = value_of(m);
    act_message_unref(m);
    return value;
}

struct act_down expect_down(struct world *w)
{
    struct act_message *m = act_port_receive(w->port, PATIENCE);
    struct act_down down;

    cr_assert_not_null(m);
    cr_assert_eq(m->type, ACT_TYPE_DOWN);
    cr_assert_eq(m->body_bytes, sizeof down);
    memcpy(&down, m->body, sizeof down);
    act_message_unref(m);
    return down;
}

void expect_nothing(struct world *w)
{
    cr_assert_null(act_port_receive(w->port, 0));
}

struct act_runtime_stats world_stats(const struct world *w)
{
    struct act_runtime_stats stats;

    act_runtime_stats(w->runtime, &stats);
    return stats;
}

bool wait_until(bool (*holds)(void *argument), void *argument)
{
    const uint64_t end = act_now_ns() + PATIENCE;

    while (!holds(argument)) {
        if (act_now_ns() > end) return false;
        sched_yield();
    }
    return true;
}

static bool is_set(void *flag)
{
    return atomic_load_explicit((atomic_int *)flag, memory_order_acquire) != 0;
}

void wait_at_gate(struct probe *probe, void *gate)
{
    struct gate *g = gate;

    (void)probe;
    atomic_store_explicit(&g->is_reached, 1, memory_order_release);
    if (!wait_until(is_set, &g->is_open)) abort();
}

void gate_shut(struct gate *gate, const struct probe *probe)
{
    atomic_store_explicit(&gate->is_reached, 0, memory_order_relaxed);
    atomic_store_explicit(&gate->is_open, 0, memory_order_release);
    start_in(probe->self, wait_at_gate, gate);
    cr_assert(wait_until(is_set, &gate->is_reached));
}

void gate_open(struct world *w, struct gate *gate)
{
    atomic_store_explicit(&gate->is_open, 1, memory_order_release);
    expect(w, TYPE_RAN);
}
