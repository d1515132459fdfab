/**
 * State machines that are not the same on all replicas: under real actors.
 */
#include "leak_check.h"

#include "world.h"

#include <errno.h>
#include <time.h>

LEAK_CHECKED_SUITE(states);

/** A counter machine that is odd on one replica. */
struct oddity {
    uint32_t replica;
    bool in_results; /* else in its state alone */
};

static struct vsr_state_machine counter; /* the functions of an ordinary one */

static uint64_t odd_digest(void *state)
{
    return counter.digest(state) + 1;
}

static void odd_apply(void *state, vsr_op op, uint64_t timestamp,
                      const struct vsr_operation *operations, uint32_t count)
{
    counter.apply(state, op, timestamp, operations, count);
    for (uint32_t i = 0; i < count; i++)
        if (op > 10) operations[i].result->data[0] ^= 1;
}

static int create_odd(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const struct oddity *odd = context;
    int error = vsr_counter_create(8, machine);

    if (error != 0) return error;
    counter = *machine;
    if (replica != odd->replica) return 0;
    if (odd->in_results)
        machine->apply = odd_apply;
    else
        machine->digest = odd_digest;
    return 0;
}

static void begin(struct world *w, struct oddity *odd)
{
    world_init(w);
    w->options.create_machine = create_odd;
    w->options.machine_context = odd;
    w->service_options.sessions = 4;
    world_start_caller(w);
}

/** Adds 1 to counter 3, so many times. */
static void load(struct world *w, uint32_t calls)
{
    for (uint32_t i = 0; i < calls; i++) {
        uint64_t value;
        cr_assert_eq(world_add(w->caller, (struct vsr_counter_add){3, 1}, &value, 20 * SECOND), 0);
    }
}

/* cluster.h: states that differ are not settled, whatever the logs say. */
Test(states, settle_compares_the_machines)
{
    struct oddity odd = {.replica = 1};
    struct world w;

    begin(&w, &odd);
    load(&w, 5);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 10 * SECOND), -EBADMSG);
    world_stop(&w);
}

/** Goes on with the load until the replica has halted. */
static void load_until_halted(struct world *w, uint32_t replica)
{
    enum vsr_status status = VSR_STATUS_NORMAL;

    for (uint32_t i = 0; i < 10000 && status != VSR_STATUS_HALTED; i++) {
        load(w, 1);
        world_sleep_ms(1);
        status = world_look(w, replica).replica.status;
    }
    cr_assert_eq(status, VSR_STATUS_HALTED);
}

/* 10: backup or primary, the one that deviates halts, and the calls go on. */
Test(states, the_replica_that_deviates_halts)
{
    for (uint32_t replica = 0; replica < 2; replica++) {
        struct oddity odd = {.replica = replica, .in_results = true};
        struct world w;

        begin(&w, &odd);
        load(&w, 12);
        load_until_halted(&w, replica);
        load(&w, 20);
        for (uint32_t i = 0; i < 3; i++) {
            const bool has_halted = world_look(&w, i).replica.status == VSR_STATUS_HALTED;
            cr_assert_eq(has_halted, i == replica, "%u", i);
        }
        cr_assert_neq(vsr_cluster_settle(w.cluster, SECOND / 20), 0);
        world_stop(&w);
    }
}

/* cluster.h: one that has halted counts as lost; health.h: with another one the cluster is gone,
 * and clients are told. */
Test(states, one_that_has_halted_is_lost)
{
    struct oddity odd = {.replica = 2, .in_results = true};
    struct world w;
    uint64_t value;
    int status;

    begin(&w, &odd);
    load(&w, 12);
    load_until_halted(&w, 2);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_SAFELY), -EBUSY);
    cr_assert_eq(world_look(&w, 1).run_state, VSR_RUNNING);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_FORCED), 0);
    status = world_add(w.caller, (struct vsr_counter_add){3, 1}, &value, 20 * SECOND);
    cr_assert(status == -EOWNERDEAD || status == -ENOTRECOVERABLE, "status %d", status);
    world_stop(&w);
}

static _Atomic uint64_t last_timestamp;

static void timed_apply(void *state, vsr_op op, uint64_t timestamp,
                        const struct vsr_operation *operations, uint32_t count)
{
    counter.apply(state, op, timestamp, operations, count);
    atomic_store(&last_timestamp, timestamp);
}

static int create_timed(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    int error = vsr_counter_create(8, machine);

    (void)context, (void)replica;
    counter = *machine;
    machine->apply = timed_apply;
    return error;
}

/* state_machine.h: a timestamp is the primary's clock, in ns since 1970. */
Test(states, timestamps_are_the_clock_s)
{
    struct world w;
    struct timespec now;
    uint64_t value;

    world_init(&w);
    w.options.create_machine = create_timed;
    world_start_caller(&w);
    world_sleep_ms(20); /* some ticks */
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){3, 1}, &value, 20 * SECOND), 0);
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t now_ns = (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
    const uint64_t then_ns = atomic_load(&last_timestamp);
    cr_assert(then_ns <= now_ns && now_ns - then_ns < 600 * SECOND, "%llu, now %llu",
              (unsigned long long)then_ns, (unsigned long long)now_ns);
    world_stop(&w);
}
