/**
 * State machines that are not the same on all replicas: under real actors.
 */
#include "leak_check.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>
#include <vsr/service.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <time.h>

LEAK_CHECKED_SUITE(states);

#define SECOND 1000000000ull

/** A counter machine that is odd on one replica. */
struct oddity {
    uint32_t replica;
    bool in_results; /* else in its state alone */
};

struct world {
    struct act_runtime *runtime;
    struct vsr_cluster_options options;
    struct vsr_cluster *cluster;
    struct vsr_caller *caller;
    act_id service;
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
    struct act_runtime_options o;
    struct vsr_service_options s;

    memset(w, 0, sizeof *w);
    act_runtime_options_init(&o);
    o.workers = 2;
    cr_assert_eq(act_runtime_start(&o, &w->runtime, NULL), 0);
    vsr_cluster_options_init(&w->options);
    w->options.runtime = w->runtime;
    w->options.create_machine = create_odd;
    w->options.machine_context = odd;
    w->options.replica.cluster = 3;
    cr_assert_eq(vsr_cluster_start(&w->options, &w->cluster, NULL), 0);
    vsr_service_options_init(&s);
    s.peers = vsr_cluster_peers(w->cluster);
    s.sessions = 4;
    s.seed = 77;
    cr_assert_eq(vsr_service_spawn(&s, &w->service, NULL), 0);
    cr_assert_eq(vsr_caller_open(w->runtime, w->service, &w->caller), 0);
}

static void end(struct world *w)
{
    cr_assert_eq(act_stop(w->service, 0), 0);
    vsr_caller_close(w->caller);
    vsr_cluster_stop(w->cluster);
    cr_assert_eq(act_runtime_stop(w->runtime), 0);
}

/** Adds 1 to counter 3, so many times. */
static void load(struct world *w, uint32_t calls)
{
    const uint64_t operation[2] = {3, 1};

    for (uint32_t i = 0; i < calls; i++) {
        uint64_t result = 0;
        uint32_t bytes = sizeof result;
        cr_assert_eq(
            vsr_caller_call(w->caller, operation, sizeof operation, &result, &bytes, 20 * SECOND),
            0);
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
    end(&w);
}

/** Goes on with the load until the replica has halted. */
static void load_until_halted(struct world *w, uint32_t replica)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct vsr_cluster_report report = {0};

    for (uint32_t i = 0; i < 10000 && report.replica.status != VSR_STATUS_HALTED; i++) {
        load(w, 1);
        nanosleep(&pause, NULL);
        cr_assert_eq(vsr_cluster_look(w->cluster, replica, &report), 0);
    }
    cr_assert_eq(report.replica.status, VSR_STATUS_HALTED);
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
            struct vsr_cluster_report report;
            cr_assert_eq(vsr_cluster_look(w.cluster, i, &report), 0);
            cr_assert_eq(report.replica.status == VSR_STATUS_HALTED, i == replica, "%u", i);
        }
        cr_assert_neq(vsr_cluster_settle(w.cluster, SECOND / 20), 0);
        end(&w);
    }
}
