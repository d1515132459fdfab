/**
 * A whole cluster under load while messages are lost, repeated and delayed at random.
 *
 * Property: when the faults end, every operation that was submitted has been answered once, the
 * sessions' counters count exactly them, all replicas have the same digest, all memory is back.
 *
 * Every message of replicas and clients goes to a gremlin first, an actor that loses it, sends it
 * twice, keeps it for a while, or passes it on.
 */
#include <act/port.h>
#include <act/runtime.h>
#include <act/timer.h>
#include <vsr/client_actor.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS = 2, SESSIONS = 40, KEPT_MAX = 512, GREMLIN_TICK = 7, GREMLIN_START = 8 };

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "stress_cluster: seed %llu: not so: %s (%s:%d)\n",                     \
                    (unsigned long long)seed, #claim, __FILE__, __LINE__);                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t seed = 1;
static atomic_uint is_faulty; /* relaxed: a switch */
static atomic_uint is_over;

/** Where a message was going; appended behind its bytes while the gremlin has it. */
struct gremlin {
    uint64_t random;
    struct {
        act_id to;
        struct act_message *message;
    } kept[KEPT_MAX];
    uint32_t kept_count;
};

struct envelope {
    act_id to;
    uint32_t type;
    uint32_t body_bytes;
};

static atomic_ullong gremlin_id;

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/** vsr_cluster_options.send: by way of the gremlin. */
static int send_by_gremlin(void *context, act_id to, struct act_message *m)
{
    act_id gremlin = atomic_load_explicit(&gremlin_id, memory_order_relaxed);
    const struct envelope envelope = {.to = to, .type = m->type, .body_bytes = m->body_bytes};

    (void)context;
    if (gremlin == ACT_ID_NONE) return act_send(to, m);
    struct act_message *carrier = act_message_create(1, (uint32_t)sizeof envelope + m->body_bytes);
    if (carrier == NULL) return -1;
    memcpy(carrier->body, &envelope, sizeof envelope);
    memcpy((uint8_t *)carrier->body + sizeof envelope, m->body, m->body_bytes);
    int error = act_send(gremlin, carrier);
    if (error != 0)
        act_message_unref(carrier);
    else
        act_message_unref(m);
    return error;
}

/** Sends on; without room or memory the message is lost, which is the gremlin's business anyway. */
static void pass_on(const struct act_message *carrier)
{
    struct envelope envelope;

    memcpy(&envelope, carrier->body, sizeof envelope);
    struct act_message *m = act_message_create(envelope.type, envelope.body_bytes);
    if (m == NULL) return;
    memcpy(m->body, (const uint8_t *)carrier->body + sizeof envelope, envelope.body_bytes);
    if (act_send(envelope.to, m) != 0) act_message_unref(m);
}

static void release_kept(struct gremlin *g, bool all)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < g->kept_count; i++) {
        if (!all && next_random(&g->random) % 4 != 0) {
            g->kept[left++] = g->kept[i];
            continue;
        }
        pass_on(g->kept[i].message);
        act_message_unref(g->kept[i].message);
    }
    g->kept_count = left;
}

static void gremlin_receive(void *state, struct act_message *m)
{
    struct gremlin *g = state;
    const bool faulty = atomic_load_explicit(&is_faulty, memory_order_relaxed) != 0;
    const uint64_t dice = next_random(&g->random) % 100;

    if (m->type == GREMLIN_TICK || m->type == GREMLIN_START) {
        release_kept(g, !faulty);
        if (act_timer_start(1000000, GREMLIN_TICK, 0, NULL) != 0) abort();
    } else if (!faulty) {
        pass_on(m);
    } else if (dice < 10 && g->kept_count < KEPT_MAX) {
        g->kept[g->kept_count++].message = m;
        return;
    } else if (dice < 15) {
        /* lost */
    } else {
        pass_on(m);
        if (dice < 25) pass_on(m);
    }
    act_message_unref(m);
}

static void gremlin_stopped(void *state, int reason)
{
    struct gremlin *g = state;

    (void)reason;
    for (uint32_t i = 0; i < g->kept_count; i++)
        act_message_unref(g->kept[i].message);
    g->kept_count = 0;
}

static const struct act_behaviour gremlin_behaviour = {.receive = gremlin_receive,
                                                       .stopped = gremlin_stopped};

struct load {
    uint32_t first;
    uint64_t submitted[SESSIONS];
    uint64_t answered[SESSIONS];
    atomic_ullong total;
    atomic_uint waiting;
    atomic_uint has_stopped;
};

static void submit(struct load *l, struct vsr_client_actor *client, uint32_t session)
{
    const struct vsr_counter_add add = {.index = l->first + session, .amount = 1};

    if (atomic_load_explicit(&is_over, memory_order_relaxed) != 0) return;
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
    struct load *l = context;
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
    fprintf(stderr, "stress_cluster: session %u was evicted; there is room for all\n", session);
    exit(1);
}

static void on_stopped(void *context)
{
    struct load *l = context;
    atomic_store_explicit(&l->has_stopped, 1, memory_order_release);
}

static const struct vsr_client_callbacks callbacks = {
    .opened = on_opened, .result = on_result, .evicted = on_evicted, .stopped = on_stopped};

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context;
    (void)replica;
    return vsr_counter_create(CLIENTS * SESSIONS, machine);
}

static void no_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    (void)context;
    (void)replica;
    (void)about;
    (void)op;
    CHECK(notice != VSR_NOTICE_FORKED_LOG);
}

static void sleep_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static uint64_t run(uint32_t replicas, uint32_t requests_per_message, uint32_t ms)
{
    static struct load loads[CLIENTS];
    static struct gremlin gremlin;
    struct act_runtime_options ro;
    struct vsr_cluster_options co;
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct act_port *port;
    struct act_message *m;
    act_id gremlin_actor;
    act_id ids[CLIENTS];
    uint64_t total = 0;

    memset(loads, 0, sizeof loads);
    gremlin = (struct gremlin){.random = seed + replicas};
    atomic_store(&is_faulty, 1);
    atomic_store(&is_over, 0);
    act_runtime_options_init(&ro);
    ro.workers = 3;
    ro.spin_us = 5;
    CHECK(act_runtime_start(&ro, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, &port) == 0);
    CHECK(act_spawn(&(struct act_spawn_options){.behaviour = &gremlin_behaviour, .state = &gremlin},
                    &gremlin_actor) == 0);
    atomic_store(&gremlin_id, gremlin_actor);
    m = act_message_create(GREMLIN_START, 0);
    CHECK(m != NULL && act_send(gremlin_actor, m) == 0);

    vsr_cluster_options_init(&co);
    co.runtime = runtime;
    co.create_machine = create_machine;
    co.replica.cluster = seed;
    co.replica.replica_count = replicas;
    co.replica.sessions_max = 256;
    co.replica.batch_requests_max = 16;
    co.replica.replies_per_message = requests_per_message;
    co.replica.suspect_ticks = 2000;
    co.replica.log_ops = 1 << 18; /* nobody falls behind the ring */
    co.on_notice = no_notice;
    co.send = send_by_gremlin;
    CHECK(vsr_cluster_start(&co, &cluster, NULL) == 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct vsr_client_actor_options o;
        vsr_client_actor_options_init(&o);
        o.cluster = cluster;
        o.client.sessions = SESSIONS;
        o.client.requests_per_message = requests_per_message;
        o.client.retry_ticks = 8;
        o.client.seed = seed * 1000 + i;
        o.callbacks = &callbacks;
        o.context = &loads[i];
        loads[i].first = i * SESSIONS;
        CHECK(vsr_client_actor_spawn(&o, &ids[i], NULL) == 0);
    }
    sleep_ms(ms);
    atomic_store(&is_faulty, 0);
    sleep_ms(ms / 4);
    atomic_store(&is_over, 1);
    for (uint32_t waited = 0;; waited++) {
        uint32_t waiting = 0;
        for (uint32_t i = 0; i < CLIENTS; i++)
            waiting += atomic_load(&loads[i].waiting);
        if (waiting == 0) break;
        CHECK(waited < 20000);
        sleep_ms(1);
    }
    CHECK(vsr_cluster_settle(cluster, 20000000000ull) == 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        total += atomic_load(&loads[i].total);
    CHECK(total > 0);
    uint64_t digest = 0;
    for (uint32_t i = 0; i < replicas; i++) {
        struct vsr_cluster_report report;
        CHECK(vsr_cluster_inspect(cluster, i, &report) == 0);
        CHECK(report.replica.requests_executed == total);
        CHECK(i == 0 || report.digest == digest);
        digest = report.digest;
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        while (act_stop(ids[i], 0) != 0)
            sleep_ms(1);
        while (atomic_load_explicit(&loads[i].has_stopped, memory_order_acquire) == 0)
            sleep_ms(1);
    }
    vsr_cluster_stop(cluster);
    act_port_close(port);
    CHECK(act_runtime_stop(runtime) == 0);
    return total;
}

int main(int argc, char **argv)
{
    uint32_t ms = 600;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seconds") == 0) ms = (uint32_t)(atof(argv[i + 1]) * 1000);
    }
    static const uint32_t sizes[] = {1, 3, 4, 5};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t total = run(sizes[i], i % 2, ms);
        printf("%u replicas: %llu operations\n", sizes[i], (unsigned long long)total);
    }
    return 0;
}
