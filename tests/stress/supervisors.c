/**
 * Supervisors over workers, whose children fail and end at random until they give up.
 *
 * Of each child there is never more than one life at a time; every life ends; a supervisor ends
 * only for too many restarts, or when it is stopped, with the reason that it was given; then none
 * of its children lives. The main thread starts another one for each that has ended.
 */
#include "stress.h"

#include <act/message.h>
#include <act/port.h>
#include <act/runtime.h>
#include <act/supervisor.h>

enum {
    WORKERS = 3,
    FAMILIES = 5,
    KIDS = 6,
    TYPE_BORN = 1,
    TYPE_TICK,
    REASON_STOPPED = 70,
};

struct kid {
    atomic_bool lives;
    struct family *family;
    uint64_t random; /* of the one life that there is */
};

struct family {
    struct kid kids[KIDS];
    atomic_uint lives;
    act_id supervisor;
    bool is_told_to_stop;
};

static struct family families[FAMILIES];
static atomic_ullong starts, ends;
static uint64_t gave_up, stopped_in_order;

static int create(void *context, void **state)
{
    struct kid *k = context;

    if (random_one_in(&k->random, 50)) return -1;
    CHECK(!atomic_exchange_explicit(&k->lives, true, memory_order_acquire));
    atomic_fetch_add_explicit(&k->family->lives, 1, memory_order_relaxed);
    count_up(&starts);
    *state = k;
    return 0;
}

static void stopped(void *state, int reason)
{
    struct kid *k = state;

    (void)reason;
    atomic_fetch_sub_explicit(&k->family->lives, 1, memory_order_relaxed);
    count_up(&ends);
    CHECK(atomic_exchange_explicit(&k->lives, false, memory_order_release));
}

static void discard(void *context, void *state)
{
    (void)context;
    stopped(state, 0);
}

static void receive(void *state, struct act_message *m)
{
    struct kid *k = state;

    act_message_unref(m);
    if (random_one_in(&k->random, 8))
        act_exit((int)random_below(&k->random, 3));
    else
        CHECK(act_timer_start(random_below(&k->random, 400000), TYPE_TICK, 0, NULL) == 0);
}

static const struct act_behaviour behaviour = {.receive = receive, .stopped = stopped};

static void found(struct family *f, uint64_t *random)
{
    struct act_child children[KIDS] = {{0}};
    struct act_supervisor_options o;

    act_supervisor_options_init(&o);
    for (uint32_t i = 0; i < KIDS; i++) {
        f->kids[i].family = f;
        children[i] = (struct act_child){.behaviour = &behaviour,
                                         .context = &f->kids[i],
                                         .create = create,
                                         .discard = discard,
                                         .first_type = TYPE_BORN,
                                         .place = ACT_PLACE_ON(random_below(random, WORKERS)),
                                         .restart = (enum act_restart)(i % 2)};
    }
    o.children = children;
    o.child_count = KIDS;
    o.strategy = (enum act_strategy)random_below(random, 2);
    o.window_ns = 3000000;
    o.backoff_ns = random_below(random, 2) * 100000;
    o.stop_ns = UINT64_MAX;
    o.place = ACT_PLACE_ON(random_below(random, WORKERS));
    f->is_told_to_stop = false;
    CHECK(act_supervisor_spawn(&o, &f->supervisor) == 0);
    CHECK(act_monitor(f->supervisor) == 0);
}

static void on_down(const struct act_down *down)
{
    uint32_t i = 0;

    while (i < FAMILIES && families[i].supervisor != down->actor)
        i++;
    CHECK(i < FAMILIES);
    CHECK(down->reason == ACT_REASON_RESTARTS || down->reason == ACT_REASON_GONE ||
          (families[i].is_told_to_stop && down->reason == REASON_STOPPED));
    CHECK(atomic_load_explicit(&families[i].lives, memory_order_relaxed) == 0);
    gave_up += down->reason == ACT_REASON_RESTARTS;
    stopped_in_order += down->reason == REASON_STOPPED;
    families[i].supervisor = ACT_ID_NONE;
}

static void oversee(struct act_port *port, bool is_over)
{
    static uint64_t random;
    struct act_message *m = act_port_receive(port, 500000);

    if (m != NULL) {
        CHECK(m->type == ACT_TYPE_DOWN);
        on_down(m->body);
        act_message_unref(m);
    }
    for (uint32_t i = 0; i < FAMILIES; i++) {
        struct family *f = &families[i];
        if (f->supervisor == ACT_ID_NONE && !is_over)
            found(f, &random);
        else if (f->supervisor != ACT_ID_NONE && !f->is_told_to_stop &&
                 (is_over || random_one_in(&random, 20)))
            f->is_told_to_stop = act_supervisor_stop(f->supervisor, REASON_STOPPED) == 0;
    }
}

static bool some_live(void)
{
    for (uint32_t i = 0; i < FAMILIES; i++)
        if (families[i].supervisor != ACT_ID_NONE) return true;
    return false;
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;
    struct act_port *port;

    stress_begin("stress_supervisors", argc, argv);
    for (uint32_t i = 0; i < FAMILIES * KIDS; i++)
        families[i / KIDS].kids[i % KIDS].random = random_from_seed(i);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, &port) == 0);
    const uint64_t end = act_now_ns() + stress_ns;
    while (act_now_ns() < end || gave_up < 10 || stopped_in_order < 10)
        oversee(port, false);
    while (some_live())
        oversee(port, true);
    CHECK(count_of(&starts) == count_of(&ends));
    act_port_close(port);
    CHECK(act_runtime_stop(runtime) == 0);
    return 0;
}
