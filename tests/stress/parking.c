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

#include <sched.h>

enum type { TYPE_START = 1, TYPE_BALL, TYPE_END };

enum {
    AWAKE_WAIT_NS = 200000,
    LOOK_NS_MAX = 2000,
    SETTLE_NS = 10000,
    ROUNDS_MIN = 20,
    AIM_STEP = 64,
    AIM_JITTER = 64,
    AIM_MAX = 100000,
    SLEEPER_SPINS = 600
};

static atomic_uint
    awake; /* relaxed: the sleeper's rounds so far; steers the aim, carries nothing */
static atomic_uint rounds;  /* relaxed: the aimer's */
static atomic_uint is_over; /* release, acquire: the aimer has ended */
static act_id sleeper;
static bool sleeper_is_port;
static uint64_t random_state;
static uint64_t end_ns;
static uint32_t answers_due;
static uint32_t aim =
    SLEEPER_SPINS; /* spins from the sleeper's waking to its parking, as learnt so far */
static struct act_runtime *runtime;
static uint32_t cpus[2];
static uint32_t cpu_count;

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

/** Returns whether we saw the moment, which we do not if we lost our CPU meanwhile. */
static bool see_it_wake(uint32_t before)
{
    const uint64_t start = act_now_ns();
    uint64_t last = start;

    for (;;) {
        const bool is_awake = atomic_load_explicit(&awake, memory_order_relaxed) != before;
        const uint64_t now = act_now_ns();
        if (now - start > AWAKE_WAIT_NS) return false;
        if (is_awake) return now - last < LOOK_NS_MAX;
        last = now;
    }
}

static void throw_two(void)
{
    const uint32_t before = atomic_load_explicit(&awake, memory_order_relaxed);
    const uint32_t step = random_below(&random_state, AIM_STEP);

    /* First the sleeper, which has just woken us, goes to sleep itself. */
    for (const uint64_t start = act_now_ns(); act_now_ns() - start < SETTLE_NS;)
        ;
    throw_message(TYPE_BALL);
    const uint64_t wakes_before = wakes();
    const bool seen = see_it_wake(before);
    spin(aim + random_below(&random_state, AIM_JITTER));
    throw_message(TYPE_BALL);
    if (seen && wakes() != wakes_before)
        aim -= aim < step ? aim : step;
    else if (seen && aim < AIM_MAX)
        aim += step;
    answers_due = 2;
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
}

/** The sleeper's whole work: send the ball back, and be busy until the aimer knows it is awake. */
static void answer(struct act_message *m)
{
    const act_id from = m->from;

    CHECK(m->type == TYPE_BALL && act_send(from, m) == 0);
    atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
    spin(SLEEPER_SPINS);
}

/** The aimer's. Returns whether it was the last round. */
static bool is_last(struct act_message *m)
{
    const bool is_ball = m->type == TYPE_BALL;

    act_message_unref(m);
    if (is_ball && --answers_due > 0) return false;
    if (act_now_ns() >= end_ns && atomic_load_explicit(&rounds, memory_order_relaxed) >= ROUNDS_MIN)
        return true;
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

/** The aimer must run while the sleeper wakes, so each has a CPU of its own, if there are two. */
static uint32_t find_two_cpus(void)
{
    cpu_set_t allowed;
    uint32_t count = 0;

    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed)) cpus[count++] = cpu;
    return count;
}

/** Puts this thread on the first or the second of them, or on both again. */
static void pin_port(bool on_first, bool on_second)
{
    cpu_set_t set;

    if (cpu_count < 2) return;
    CPU_ZERO(&set);
    if (on_first) CPU_SET(cpus[0], &set);
    if (on_second) CPU_SET(cpus[1], &set);
    CHECK(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
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
    pin_port(false, true);
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
    pin_port(true, false);
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
    o.pin = cpu_count == 2;
    o.cpus = cpus;
    o.cpu_count = cpu_count;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    end_ns = act_now_ns() + stress_ns / 2;
    load();
    pin_port(true, true);
    act_runtime_stats(runtime, &stats);
    CHECK(act_runtime_stop(runtime) == 0);
    /* Else nothing was tested. */
    CHECK(stats.parks > 0);
    CHECK(stats.wakes > 0);
}

int main(int argc, char **argv)
{
    stress_begin("stress_parking", argc, argv);
    random_state = random_from_seed(1);
    cpu_count = find_two_cpus();
    run(worker_aims_at_worker);
    run(port_aims_at_worker);
    run(worker_aims_at_port);
    return 0;
}
