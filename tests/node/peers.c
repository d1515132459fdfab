/**
 * Peers that are no cluster's: clients reach replicas through actors that stand for them.
 */
#include "leak_check.h"

#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/client_actor.h>
#include <vsr/peers.h>

#include <errno.h>
#include <string.h>

LEAK_CHECKED_SUITE(peers);

enum { REPLICAS = 3 };

/** Stands for a replica, as a bridge would. */
struct relay {
    act_id to;
    atomic_uint passed_on;
};

static void pass_on(void *state, struct act_message *m)
{
    struct relay *relay = state;

    atomic_fetch_add(&relay->passed_on, 1);
    if (act_send(relay->to, m) != 0) act_message_unref(m);
}

static const struct act_behaviour relay_behaviour = {.receive = pass_on};

static void spawn_relays(struct act_runtime *runtime, struct vsr_cluster *cluster,
                         struct relay relays[REPLICAS], act_id ids[REPLICAS])
{
    struct act_port *port;

    cr_assert_eq(act_port_open(runtime, &port), 0);
    for (uint32_t i = 0; i < REPLICAS; i++) {
        relays[i].to = vsr_peers_id(vsr_cluster_peers(cluster), i);
        atomic_init(&relays[i].passed_on, 0);
        const struct act_spawn_options o = {.behaviour = &relay_behaviour, .state = &relays[i]};
        cr_assert_eq(act_spawn(&o, &ids[i]), 0);
    }
    act_port_close(port);
}

/* peers.h: clients do not see whether an id is a replica's or stands for one. All that this service
 * has is three relays and the numbers; its requests go through them. */
Test(peers, a_service_reaches_replicas_through_actors_that_stand_for_them)
{
    struct vsr_peers_options p;
    struct relay relays[REPLICAS];
    act_id ids[REPLICAS];
    struct world w;
    struct vsr_peers *peers;
    uint64_t value = 0;
    uint32_t passed_on = 0;

    world_init(&w);
    world_start(&w);
    spawn_relays(w.runtime, w.cluster, relays, ids);
    vsr_peers_options_init(&p);
    p.runtime = w.runtime;
    p.replicas = ids;
    p.cluster = w.options.replica.cluster;
    cr_assert_eq(vsr_peers_create(&p, &peers, NULL), 0);
    memset(ids, 0, sizeof ids); /* copied */
    cr_assert_eq(vsr_peers_count(peers), REPLICAS);
    w.service_options.peers = peers;
    world_start_caller(&w);
    for (uint32_t i = 1; i <= 20; i++) {
        cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){2, 1}, &value, 20 * SECOND), 0);
        cr_assert_eq(value, i);
    }
    for (uint32_t i = 0; i < REPLICAS; i++)
        passed_on += atomic_load(&relays[i].passed_on);
    cr_assert_geq(passed_on, 20);
    vsr_caller_close(w.caller);
    w.caller = NULL;
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, 10 * SECOND), 0);
    w.service = ACT_ID_NONE;
    vsr_peers_destroy(peers);
    world_stop(&w);
}

static void refused(const struct vsr_peers_options *o, const char *option)
{
    struct vsr_peers *peers;
    struct vsr_error why = {0};

    cr_assert_eq(vsr_peers_create(o, &peers, &why), -EINVAL);
    cr_assert_str_eq(why.option, option);
    cr_assert_not_null(strstr(why.text, option), "%s", why.text);
    cr_assert_eq(vsr_peers_create(o, &peers, NULL), -EINVAL);
}

/* peers.h: -EINVAL and why for an option out of range; limits at n and n + 1. */
Test(peers, options_out_of_range_are_refused)
{
    struct world w;
    const act_id ids[VSR_REPLICAS_MAX + 1] = {1, 2, 3, 4, 5, 6, 7};
    struct vsr_peers_options sound, o;
    struct vsr_peers *peers;

    world_init(&w);
    world_start_runtime(&w);
    vsr_peers_options_init(&sound);
    cr_assert_eq(sound.replica_count, 3);
    cr_assert_eq(sound.sessions_max, 1024);
    cr_assert_eq(sound.op_bytes_max, 1024);
    cr_assert_eq(sound.result_bytes_max, 16);
    cr_assert_eq(sound.tick_ns, 1000000);
    sound.runtime = w.runtime;
    sound.replicas = ids;
    o = sound, o.runtime = NULL, refused(&o, "runtime");
    o = sound, o.replicas = NULL, refused(&o, "replicas");
    o = sound, o.replica_count = 0, refused(&o, "replica_count");
    o = sound, o.replica_count = VSR_REPLICAS_MAX + 1, refused(&o, "replica_count");
    o = sound, o.sessions_max = VSR_SESSIONS_MAX + 1, refused(&o, "sessions_max");
    o = sound, o.op_bytes_max = VSR_OP_BYTES_MAX + 1, refused(&o, "op_bytes_max");
    o = sound, o.result_bytes_max = VSR_RESULT_BYTES_MAX + 1, refused(&o, "result_bytes_max");
    o = sound, o.tick_ns = 99999, refused(&o, "tick_ns");
    o = sound, o.replicas = ids + 6, o.replica_count = 2, refused(&o, "replicas");
    o = (struct vsr_peers_options){.runtime = w.runtime,
                                   .replicas = ids,
                                   .replica_count = VSR_REPLICAS_MAX,
                                   .sessions_max = VSR_SESSIONS_MAX,
                                   .op_bytes_max = VSR_OP_BYTES_MAX,
                                   .result_bytes_max = VSR_RESULT_BYTES_MAX,
                                   .tick_ns = 100000};
    cr_assert_eq(vsr_peers_create(&o, &peers, NULL), 0);
    cr_assert_eq(vsr_peers_id(peers, VSR_REPLICAS_MAX - 1), 7);
    cr_assert_eq(vsr_peers_id(peers, VSR_REPLICAS_MAX), ACT_ID_NONE);
    vsr_peers_destroy(peers);
    world_stop(&w);
}

/* client_actor.h, service.h: peers and callbacks have no default; left NULL they are refused. */
Test(peers, what_has_no_default_is_asked_for)
{
    struct vsr_client_actor_options c;
    struct vsr_service_options s;
    struct vsr_error why = {0};
    const struct vsr_client_callbacks callbacks = {0};
    act_id id;

    vsr_client_actor_options_init(&c);
    c.callbacks = &callbacks;
    cr_assert_eq(vsr_client_actor_spawn(&c, &id, &why), -EINVAL);
    cr_assert_str_eq(why.option, "peers");
    cr_assert_not_null(strstr(why.text, "peers"));
    vsr_service_options_init(&s);
    cr_assert_eq(vsr_service_spawn(&s, &id, &why), -EINVAL);
    cr_assert_str_eq(why.option, "peers");
}

/* client_actor.h: a seed is known to be taken in one process only. Where two have the same one, as
 * two bridges might, the second client's sessions are refused, and its service says so. */
Test(peers, a_client_with_another_s_id_is_refused)
{
    struct world w;
    struct vsr_peers_options p;
    struct vsr_peers *peers;
    act_id ids[REPLICAS];
    uint64_t value = 0;

    world_init(&w);
    w.service_options.seed = 5;
    w.service_options.sessions = 2;
    world_start_caller(&w);
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND), 0);
    vsr_caller_close(w.caller);
    for (uint32_t i = 0; i < REPLICAS; i++)
        ids[i] = vsr_peers_id(vsr_cluster_peers(w.cluster), i);
    vsr_peers_options_init(&p);
    p.runtime = w.runtime;
    p.replicas = ids;
    p.cluster = w.options.replica.cluster;
    cr_assert_eq(vsr_peers_create(&p, &peers, NULL), 0);
    const act_id first = w.service;
    w.service_options.peers = peers;
    w.service = world_spawn_service(&w);
    world_start_caller(&w);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 20 * SECOND),
                     -ECANCELED);
    vsr_caller_close(w.caller);
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, 10 * SECOND), 0);
    w.service = first;
    world_start_caller(&w);
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND), 0);
    cr_assert_eq(value, 2);
    world_stop(&w);
    vsr_peers_destroy(peers);
}
