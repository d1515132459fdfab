/**
 * A whole cluster under load while messages are lost, repeated and delayed at random, and replicas
 * are killed, restarted and paused, the larger clusters over a storage that takes its time.
 *
 * Property: when the faults end, every operation that was submitted has been answered once, the
 * sessions' counters count exactly them, all replicas have the same digest, all memory is back.
 *
 * Every message of replicas and clients goes to a gremlin first, an actor that loses it, sends it
 * twice, keeps it for a while, or passes it on.
 */
#include "disk.h"
#include "load.h"
#include "program.h"

#include <act/port.h>
#include <act/runtime.h>
#include <act/timer.h>
#include <vsr/cluster.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 512, GREMLIN_TICK = 7, GREMLIN_START = 8 };

static atomic_uint is_faulty; /* relaxed: a switch */

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
        if (!all && load_random(&g->random) % 4 != 0) {
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
    const uint64_t dice = load_random(&g->random) % 100;

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

static void no_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    (void)context;
    (void)replica;
    (void)about;
    (void)op;
    CHECK(notice != VSR_NOTICE_FORKED_LOG && notice != VSR_NOTICE_DIVERGED);
    CHECK(notice != VSR_NOTICE_DATA_LOST);
}

/** Kills and restarts, or pauses and resumes, one replica after the other for a while. */
static void disturb(struct vsr_cluster *cluster, uint32_t ms)
{
    uint64_t random = load_seed;

    for (uint32_t spent = 0; spent < ms; spent += 60) {
        const uint32_t replica =
            (uint32_t)load_random(&random) % vsr_cluster_replica_count(cluster);
        if (load_random(&random) % 2 == 0) {
            CHECK(vsr_cluster_pause(cluster, replica) == 0);
            load_sleep_ms(30);
            CHECK(vsr_cluster_resume(cluster, replica) == 0);
        } else if (vsr_cluster_kill(cluster, replica, VSR_KILL_SAFELY) == 0) {
            load_sleep_ms(30);
            CHECK(vsr_cluster_restart(cluster, replica, NULL) == 0);
        } /* else the last one has not recovered */
        load_sleep_ms(30);
    }
}

static uint64_t run(uint32_t replicas, uint32_t requests_per_message, bool has_disk, uint32_t ms)
{
    static struct disk disk;
    const struct vsr_storage storage = disk_storage(&disk);
    static struct load load;
    static struct gremlin gremlin;
    struct vsr_cluster_options co;
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct act_port *port;
    struct act_message *m;
    act_id gremlin_actor;

    gremlin = (struct gremlin){.random = load_seed + replicas};
    atomic_store(&is_faulty, 1);
    runtime = load_start_runtime(3, &port);
    CHECK(act_spawn(&(struct act_spawn_options){.behaviour = &gremlin_behaviour, .state = &gremlin},
                    &gremlin_actor) == 0);
    atomic_store(&gremlin_id, gremlin_actor);
    m = act_message_create(GREMLIN_START, 0);
    CHECK(m != NULL && act_send(gremlin_actor, m) == 0);

    vsr_cluster_options_init(&co);
    co.runtime = runtime;
    co.create_machine = load_create_machine;
    co.replica.cluster = load_seed;
    co.replica.replica_count = replicas;
    co.replica.sessions_max = 256;
    co.replica.batch_requests_max = 16;
    co.replica.replies_per_message = requests_per_message;
    co.on_notice = no_notice;
    co.send = send_by_gremlin;
    disk_init(&disk);
    disk.delay_us_max = 3000;
    if (has_disk) co.storage = &storage;
    CHECK(vsr_cluster_start(&co, &cluster, NULL) == 0);
    load_start(&load, cluster, requests_per_message);
    if (replicas > 1)
        disturb(cluster, ms);
    else
        load_sleep_ms(ms);
    atomic_store(&is_faulty, 0);
    load_sleep_ms(ms / 4);
    load_finish(&load);
    uint64_t total = load_verify(&load);
    load_stop(&load);
    CHECK(vsr_cluster_stop(cluster, NULL) == 0);
    act_port_close(port);
    CHECK(act_runtime_stop(runtime) == 0);
    disk_deinit(&disk);
    return total;
}

int main(int argc, char **argv)
{
    uint32_t ms = 600;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) load_seed = program_seed("--seed", argv[i + 1]);
        if (strcmp(argv[i], "--seconds") == 0) ms = (uint32_t)(atof(argv[i + 1]) * 1000);
    }
    static const uint32_t sizes[] = {1, 3, 4, 5};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t total = run(sizes[i], i % 2, i > 1, ms);
        printf("%u replicas: %llu operations\n", sizes[i], (unsigned long long)total);
    }
    return 0;
}
