/**
 * stress_parking: no wake-up is lost when a message is published just as its receiver goes to
 * sleep.
 *
 * Nobody spins (spin_us 0). In each round the aimer sends one message, waits until the sleeper is
 * awake, and publishes a second one when the sleeper, done with the first, parks again. Whether the
 * second had to wake it tells the aimer if it aimed too late, so it learns when that is. It goes on
 * when both are answered: with a wake-up lost, nothing moves again and the watchdog ends it.
 * Aimer and sleeper are workers or ports.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

enum type { TYPE_START = 1, TYPE_BALL, TYPE_END };

enum { AWAKE_WAIT_NS = 200000, AIM_STEP = 32, AIM_JITTER = 64, AIM_MAX = 100000 };

static atomic_uint
    awake; /* relaxed: the sleeper's rounds so far; steers the aim, carries nothing */
static atomic_uint rounds;
static atomic_uint is_over; /* release, acquire: the aimer has ended */
static act_id sleeper;
static bool sleeper_is_port;
static uint64_t random_state;
static uint64_t end_ns;
static uint32_t answers_due;
static uint32_t aim; /* spins from the sleeper's waking to its parking, as learnt so far */
static struct act_runtime *runtime;

static void spin(uint32_t count)
{
    for (volatile uint32_t i = 0; i < count; i++)
        ;
}

static uint64_t wakes(void)
{
    struct act_runtime_stats stats;

    act_runtime_stats(runtime, &stats);
    return stats.wakes;
}

static void throw_message(enum type type)
{
    struct act_message *m = act_message_create(type, 0);
    CHECK(m != NULL && act_send(sleeper, m) == 0);
    act_flush();
}

static void throw_two(void)
{
    const uint32_t before = atomic_load_explicit(&awake, memory_order_relaxed);
    const uint64_t start = act_now_ns();
    const uint32_t step = random_below(&random_state, AIM_STEP);

    throw_message(TYPE_BALL);
    const uint64_t wakes_before = wakes();
    while (atomic_load_explicit(&awake, memory_order_relaxed) == before &&
           act_now_ns() - start < AWAKE_WAIT_NS)
        ;
    spin(aim + random_below(&random_state, AIM_JITTER));
    throw_message(TYPE_BALL);
    if (wakes() != wakes_before)
        aim -= aim < step ? aim : step;
    else if (aim < AIM_MAX)
        aim += step;
    answers_due = 2;
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
}

/** The sleeper's whole work: send the ball back. */
static void answer(struct act_message *m)
{
    const act_id from = m->from;

    atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
    CHECK(m->type == TYPE_BALL && act_send(from, m) == 0);
}

/** The aimer's. Returns whether it was the last round. */
static bool is_last(struct act_message *m)
{
    const bool is_ball = m->type == TYPE_BALL;

    act_message_unref(m);
    if (is_ball && --answers_due > 0) return false;
    if (act_now_ns() >= end_ns) return true;
    throw_two();
    return false;
}

static void sleeper_receive(void *state, struct act_message *m)
{
    (void)state;
    answer(m);
}

static void aimer_receive(void *state, struct act_message *m)
{
    (void)state;
    if (!is_last(m)) return;
    atomic_store_explicit(&is_over, 1, memory_order_release);
    if (sleeper_is_port) throw_message(TYPE_END);
}

static const struct act_behaviour sleeper_behaviour = {.receive = sleeper_receive};
static const struct act_behaviour aimer_behaviour = {.receive = aimer_receive};

static act_id spawn(const struct act_behaviour *behaviour, uint32_t worker)
{
    const struct act_spawn_options o = {.behaviour = behaviour, .place = ACT_PLACE_ON(worker)};
    act_id id;

    CHECK(act_spawn(&o, &id) == 0);
    return id;
}

static void start(act_id aimer)
{
    struct act_message *m = act_message_create(TYPE_START, 0);
    CHECK(m != NULL && act_send(aimer, m) == 0);
}

static void worker_aims_at_worker(void)
{
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    sleeper = spawn(&sleeper_behaviour, 0);
    start(spawn(&aimer_behaviour, 1));
    act_port_close(port);
    while (atomic_load_explicit(&is_over, memory_order_acquire) == 0)
        stress_sleep_us(1000); /* this thread must not wake anybody */
}

static void port_aims_at_worker(void)
{
    struct act_message *m;
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    sleeper = spawn(&sleeper_behaviour, 0);
    throw_two();
    do {
        m = act_port_receive(port, UINT64_MAX);
        CHECK(m != NULL);
    } while (!is_last(m));
    act_port_close(port);
}

static void worker_aims_at_port(void)
{
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    sleeper = act_port_id(port);
    sleeper_is_port = true;
    start(spawn(&aimer_behaviour, 1));
    for (;;) {
        struct act_message *m = act_port_receive(port, UINT64_MAX);
        CHECK(m != NULL);
        if (m->type == TYPE_END) {
            act_message_unref(m);
            break;
        }
        answer(m);
    }
    act_port_close(port);
}

static void run(void (*load)(void))
{
    struct act_runtime_options o;
    struct act_runtime_stats stats;

    atomic_store_explicit(&is_over, 0, memory_order_relaxed);
    atomic_store_explicit(&rounds, 0, memory_order_relaxed);
    answers_due = 0;
    act_runtime_options_init(&o);
    o.workers = 2;
    o.spin_us = 0;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    end_ns = act_now_ns() + stress_ns / 2;
    load();
    act_runtime_stats(runtime, &stats);
    CHECK(act_runtime_stop(runtime) == 0);
    /* Else nothing was tested. */
    CHECK(atomic_load_explicit(&rounds, memory_order_relaxed) > 0);
    CHECK(stats.parks > 0);
    CHECK(stats.wakes > 0);
}

int main(int argc, char **argv)
{
    stress_begin("stress_parking", argc, argv);
    random_state = random_from_seed(1);
    run(worker_aims_at_worker);
    run(port_aims_at_worker);
    run(worker_aims_at_port);
    return 0;
}
