/**
 * See load.h.
 */
#include "load.h"

#include <vsr/client_actor.h>
#include <vsr/counter.h>

#include <string.h>
#include <time.h>

enum { WAIT_MS_MAX = 60000 };

uint64_t load_seed = 1;

uint64_t load_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

void load_sleep_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

int load_create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context;
    (void)replica;
    return vsr_counter_create(LOAD_CLIENTS * LOAD_SESSIONS, machine);
}

struct act_runtime *load_start_runtime(uint32_t workers, struct act_port **port)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;

    act_runtime_options_init(&o);
    o.workers = workers;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, port) == 0);
    return runtime;
}

static void submit(struct load_client *l, struct vsr_client_actor *client, uint32_t session)
{
    const struct vsr_counter_add add = {.index = l->first + session, .amount = 1};

    if (atomic_load_explicit(&l->load->is_over, memory_order_relaxed) != 0) return;
    CHECK(vsr_client_actor_submit(client, session, &add, sizeof add) == 0);
    l->submitted[session]++;
    atomic_fetch_add_explicit(&l->waiting, 1, memory_order_relaxed);
}

static void on_opened(void *context, struct vsr_client_actor *client, uint32_t session)
{
    submit(context, client, session);
}

static void on_result(void *context, struct vsr_client_actor *client, uint32_t session,
                      const void *result, uint32_t result_bytes)
{
    struct load_client *l = context;
    uint64_t value;

    CHECK(result_bytes == sizeof value);
    memcpy(&value, result, sizeof value);
    CHECK(value == ++l->answered[session]); /* executed exactly once, answered exactly once */
    CHECK(l->answered[session] == l->submitted[session]);
    atomic_fetch_add_explicit(&l->total, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&l->waiting, 1, memory_order_relaxed);
    submit(l, client, session);
}

static void on_evicted(void *context, struct vsr_client_actor *client, uint32_t session)
{
    (void)context;
    (void)client;
    fprintf(stderr, "seed %llu: session %u was evicted; there is room for all\n",
            (unsigned long long)load_seed, session);
    exit(1);
}

static void on_stopped(void *context)
{
    struct load_client *l = context;
    atomic_store_explicit(&l->has_stopped, 1, memory_order_release);
}

static const struct vsr_client_callbacks callbacks = {
    .opened = on_opened, .result = on_result, .evicted = on_evicted, .stopped = on_stopped};

void load_start(struct load *load, struct vsr_cluster *cluster, uint32_t requests_per_message)
{
    memset(load, 0, sizeof *load);
    load->cluster = cluster;
    for (uint32_t i = 0; i < LOAD_CLIENTS; i++) {
        struct vsr_client_actor_options o;
        struct load_client *l = &load->clients[i];
        vsr_client_actor_options_init(&o);
        o.peers = vsr_cluster_peers(cluster);
        o.client.sessions = LOAD_SESSIONS;
        o.client.requests_per_message = requests_per_message;
        o.client.retry_ticks = 8;
        o.seed = load_seed * 1000 + i;
        o.callbacks = &callbacks;
        o.context = l;
        l->load = load;
        l->first = i * LOAD_SESSIONS;
        CHECK(vsr_client_actor_spawn(&o, &l->id, NULL) == 0);
    }
}

uint64_t load_answered(struct load *load)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < LOAD_CLIENTS; i++)
        sum += atomic_load_explicit(&load->clients[i].total, memory_order_relaxed);
    return sum;
}

void load_await(struct load *load, uint64_t answers)
{
    const uint64_t wanted = load_answered(load) + answers;

    for (uint32_t ms = 0; load_answered(load) < wanted; ms++) {
        CHECK(ms < WAIT_MS_MAX);
        load_sleep_ms(1);
    }
}

void load_finish(struct load *load)
{
    uint32_t waiting = 1;

    atomic_store(&load->is_over, 1);
    for (uint32_t ms = 0; waiting > 0; ms++) {
        CHECK(ms < WAIT_MS_MAX);
        load_sleep_ms(1);
        waiting = 0;
        for (uint32_t i = 0; i < LOAD_CLIENTS; i++)
            waiting += atomic_load_explicit(&load->clients[i].waiting, memory_order_relaxed);
    }
}

uint64_t load_verify(struct load *load)
{
    const uint64_t total = load_answered(load);
    uint64_t digest = 0;

    CHECK(vsr_cluster_settle(load->cluster, WAIT_MS_MAX * 1000000ull) == 0);
    CHECK(total > 0);
    for (uint32_t i = 0; i < vsr_cluster_replica_count(load->cluster); i++) {
        struct vsr_cluster_report report;
        CHECK(vsr_cluster_inspect(load->cluster, i, &report) == 0);
        CHECK(report.run_state == VSR_RUNNING);
        CHECK(report.replica.counters.requests_executed == total);
        CHECK(i == 0 || report.digest == digest);
        digest = report.digest;
    }
    return total;
}

void load_stop(struct load *load)
{
    for (uint32_t i = 0; i < LOAD_CLIENTS; i++) {
        while (act_stop(load->clients[i].id, 0) != 0)
            load_sleep_ms(1);
        while (atomic_load_explicit(&load->clients[i].has_stopped, memory_order_acquire) == 0)
            load_sleep_ms(1);
    }
}
