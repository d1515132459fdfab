/**
 * Monitors and links between workers, while who sets them and whom they are set on come and go.
 *
 * Members monitor, call off and link members of all workers, trap exits or not, and end, normally
 * or as failures, each with a successor. Never is anybody told of one that he does not watch, or
 * twice; who traps exits ends for no reason but his own; and no watch outlives both of its sides,
 * which the runtime looks at when it stops.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

enum {
    WORKERS = 3,
    MEMBERS = 24,
    WATCHED_MAX = 12,
    TYPE_GO = 1,
    REASON_FAILED = 5,
};

struct member {
    act_id watched[WATCHED_MAX];
    uint32_t watched_count;
    act_id linked[WATCHED_MAX];
    uint32_t linked_count;
    uint32_t index;
    uint64_t random;
    bool wants_to_trap;
    bool is_trapping;
    bool has_exited; /* of its own */
};

static _Atomic act_id members[MEMBERS];
static atomic_bool is_over;
static atomic_ullong downs, exits, called_off, failed, taken_along, normal_ends;

static bool over(void)
{
    return atomic_load_explicit(&is_over, memory_order_relaxed);
}

static bool take(act_id *list, uint32_t *count, act_id id)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (list[i] != id) continue;
        list[i] = list[--*count];
        return true;
    }
    return false;
}

static bool holds(const act_id *list, uint32_t count, act_id id)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == id) return true;
    return false;
}

static void start_member(uint32_t index, uint64_t random);

static void go_on(void)
{
    struct act_message *m = act_message_create(TYPE_GO, 0);

    CHECK(m != NULL);
    if (act_send(act_self(), m) != 0) act_message_unref(m);
}

static void do_something(struct member *a)
{
    const act_id other =
        atomic_load_explicit(&members[random_below(&a->random, MEMBERS)], memory_order_relaxed);
    const uint32_t what = random_below(&a->random, 100);

    if (other == act_self()) return;
    if (what < 40) {
        if (a->watched_count < WATCHED_MAX && !holds(a->watched, a->watched_count, other) &&
            act_monitor(other) == 0)
            a->watched[a->watched_count++] = other;
    } else if (what < 60 && a->watched_count > 0) {
        const act_id target = a->watched[random_below(&a->random, a->watched_count)];
        const int error = act_demonitor(target);
        CHECK(error == 0 || error == -EAGAIN);
        if (error == 0) CHECK(take(a->watched, &a->watched_count, target));
        if (error == 0) count_up(&called_off);
    } else if (what < 70) {
        if (a->linked_count < WATCHED_MAX && !holds(a->linked, a->linked_count, other) &&
            act_link(other) == 0)
            a->linked[a->linked_count++] = other;
    } else if (what < 72) {
        a->has_exited = true;
        count_up(what == 70 ? &normal_ends : &failed);
        act_exit(what == 70 ? 0 : REASON_FAILED);
    }
}

static void receive(void *state, struct act_message *m)
{
    struct member *a = state;

    if (m->type == ACT_TYPE_DOWN) {
        const struct act_down *down = m->body;
        CHECK(take(a->watched, &a->watched_count, down->actor));
        count_up(&downs);
    } else if (m->type == ACT_TYPE_EXIT) {
        const struct act_down *down = m->body;
        CHECK(a->is_trapping);
        (void)take(a->linked, &a->linked_count, down->actor); /* the other side may have linked */
        count_up(&exits);
    } else {
        CHECK(m->type == TYPE_GO);
        if (!over()) {
            do_something(a);
            go_on();
        }
    }
    act_message_unref(m);
}

static void stopped(void *state, int reason)
{
    struct member *a = state;

    if (reason != ACT_REASON_SHUTDOWN) {
        CHECK(a->has_exited || !a->is_trapping);
        CHECK(a->has_exited || reason == REASON_FAILED || reason == ACT_REASON_GONE);
        if (!a->has_exited) count_up(&taken_along);
        start_member(a->index, a->random);
    }
    free(a);
}

static void begin(void *state, struct act_message *m)
{
    struct member *a = state;

    if (a->wants_to_trap && !a->is_trapping) {
        CHECK(act_trap_exits(true) == 0);
        a->is_trapping = true;
    }
    receive(state, m);
}

static const struct act_behaviour behaviour = {.receive = begin, .stopped = stopped};

static void start_member(uint32_t index, uint64_t random)
{
    struct member *a = calloc(1, sizeof *a);
    struct act_spawn_options o = {.behaviour = &behaviour, .state = a};
    act_id id;

    CHECK(a != NULL);
    a->index = index;
    a->random = random + 1;
    a->wants_to_trap = random_one_in(&a->random, 2);
    o.place = ACT_PLACE_ON(random_below(&a->random, WORKERS));
    if (act_spawn(&o, &id) != 0) {
        free(a); /* the runtime stops */
        return;
    }
    atomic_store_explicit(&members[index], id, memory_order_relaxed);
    struct act_message *m = act_message_create(TYPE_GO, 0);
    CHECK(m != NULL);
    if (act_send(id, m) != 0) act_message_unref(m);
}

/** All of it has happened; if not, the watchdog ends the run. */
static bool is_enough(void)
{
    return count_of(&downs) > 50 && count_of(&exits) > 50 && count_of(&called_off) > 50 &&
           count_of(&failed) > 50 && count_of(&taken_along) > 50 && count_of(&normal_ends) > 50;
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;
    struct act_port *port;

    stress_begin("stress_links", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, &port) == 0);
    for (uint32_t i = 0; i < MEMBERS; i++)
        start_member(i, random_from_seed(i));
    stress_sleep_us((uint32_t)(stress_ns / 1000));
    while (!is_enough())
        stress_sleep_us(1000);
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    act_port_close(port);
    CHECK(act_runtime_stop(runtime) == 0);
    return 0;
}
