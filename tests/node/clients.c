/**
 * Client actors: what an embedder's callbacks may do, and what is said to those who are none.
 */
#include "leak_check.h"

#include "messages.h"
#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/client_actor.h>
#include <vsr/message.h>
#include <vsr/peers.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

LEAK_CHECKED_SUITE(clients);

enum { GO = 1, CLIENT_WORKER = 1, TICKS = 20 };

/** A client that submits once, closes when it is told to, and notes what it hears. */
struct desk {
    struct world world;
    struct vsr_client_actor_options options;
    act_id id;
    _Atomic(struct vsr_client_actor *) client; /* for those who misuse it */
    atomic_uint opened, results, refused, closed, gone, ticks, has_stopped;
    atomic_uint view_hint; /* at the last turn's end */
    atomic_int before; /* what submit said to a message that came before all else; 1 = none came */
    atomic_uint wrong; /* answers that callbacks got: Criterion's checks are the main thread's */
    bool closes_when_refused;
};

static const struct vsr_counter_add add = {.index = 1, .amount = 1};

static void on_opened(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct desk *d = context;

    const int first = vsr_client_actor_submit(client, session, &add, sizeof add);
    const bool is_right =
        vsr_client_actor_sessions(client) == d->options.client.sessions &&
        first == (atomic_load(&d->before) == 1 ? 0 : -EBUSY) && /* closing already */
        vsr_client_actor_submit(client, session, NULL, 8) == -EINVAL &&
        vsr_client_actor_submit(client, vsr_client_actor_sessions(client), &add, 8) == -EINVAL &&
        vsr_client_actor_submit(client, session, &add, 1025) == -EMSGSIZE &&
        vsr_client_actor_submit(client, session, &add, sizeof add) == -EBUSY;

    if (!is_right) atomic_fetch_add(&d->wrong, 1);
    atomic_fetch_add(&d->opened, 1);
}

static void on_result(void *context, struct vsr_client_actor *client, uint32_t session,
                      const void *result, uint32_t result_bytes)
{
    struct desk *d = context;
    struct vsr_client_report report;

    (void)session, (void)result, (void)result_bytes;
    vsr_client_actor_report(client, &report);
    if (report.answered <= atomic_load(&d->results)) atomic_fetch_add(&d->wrong, 1);
    atomic_store(&d->client, client);
    atomic_fetch_add(&d->results, 1);
}

static void on_refused(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct desk *d = context;

    (void)session;
    if (atomic_fetch_add(&d->refused, 1) + 1 == vsr_client_actor_sessions(client) &&
        d->closes_when_refused)
        vsr_client_actor_close(client);
}

static void on_message(void *context, struct vsr_client_actor *client, struct act_message *m)
{
    struct desk *d = context;
    struct vsr_client_report report;

    act_message_unref(m);
    vsr_client_actor_report(client, &report);
    if (atomic_load(&d->opened) == 0 && report.registering == 0)
        atomic_store(&d->before, vsr_client_actor_submit(client, 0, &add, sizeof add));
    vsr_client_actor_close(client);
    vsr_client_actor_close(client); /* again: nothing more is told */
}

static void on_closed(void *context, struct vsr_client_actor *client)
{
    struct desk *d = context;

    (void)client;
    atomic_fetch_add(&d->closed, 1);
}

static void on_gone(void *context, struct vsr_client_actor *client)
{
    struct desk *d = context;

    (void)client;
    atomic_fetch_add(&d->gone, 1);
}

static void on_turn_end(void *context, struct vsr_client_actor *client)
{
    struct desk *d = context;
    struct vsr_client_report report;

    vsr_client_actor_report(client, &report);
    atomic_store(&d->view_hint, (unsigned)report.view_hint);
    atomic_fetch_add(&d->ticks, 1);
}

static void on_stopped(void *context)
{
    struct desk *d = context;

    atomic_store(&d->has_stopped, 1);
}

static const struct vsr_client_callbacks callbacks = {
    .opened = on_opened,
    .result = on_result,
    .refused = on_refused,
    .message = on_message,
    .closed = on_closed,
    .gone = on_gone,
    .turn_end = on_turn_end,
    .stopped = on_stopped,
};

static void make(struct desk *d, uint32_t sessions)
{
    *d = (struct desk){.before = 1};
    world_init(&d->world);
    world_start(&d->world);
    vsr_client_actor_options_init(&d->options);
    d->options.peers = vsr_cluster_peers(d->world.cluster);
    d->options.client.sessions = sessions;
    d->options.callbacks = &callbacks;
    d->options.context = d;
    d->options.place = ACT_PLACE_ON(CLIENT_WORKER);
}

static void spawn(struct desk *d)
{
    cr_assert_eq(vsr_client_actor_spawn(&d->options, &d->id, NULL), 0);
}

static void start(struct desk *d, uint32_t sessions)
{
    make(d, sessions);
    spawn(d);
    AWAIT(atomic_load(&d->results) == sessions);
}

static void tell(struct desk *d, act_id id)
{
    struct act_port *port;
    struct act_message *m;

    cr_assert_eq(act_port_open(d->world.runtime, &port), 0);
    m = act_message_create(GO, 0);
    cr_assert_not_null(m);
    cr_assert_eq(act_send(id, m), 0);
    act_port_close(port);
}

/** Tells it to stop, and waits until it has. */
static void stop_client(struct desk *d)
{
    struct act_port *port;

    cr_assert_eq(atomic_load(&d->wrong), 0);
    atomic_store(&d->has_stopped, 0);
    cr_assert_eq(act_port_open(d->world.runtime, &port), 0);
    cr_assert_eq(act_stop(d->id, 0), 0);
    act_port_close(port);
    AWAIT(atomic_load(&d->has_stopped) == 1);
}

/* client_actor.h: `closed` tells when all sessions are, once. */
Test(clients, close_is_told_once)
{
    struct desk d;

    start(&d, 5);
    tell(&d, d.id);
    AWAIT(atomic_load(&d.closed) == 1);
    tell(&d, d.id);
    const unsigned ticks = atomic_load(&d.ticks);
    AWAIT(atomic_load(&d.ticks) > ticks + TICKS);
    cr_assert_eq(atomic_load(&d.closed), 1);
    cr_assert_eq(atomic_load(&d.before), 1);
    stop_client(&d);
    world_stop(&d.world);
}

/** Peers of the desk's cluster that are not the cluster's own: from now on its clients have them.
 */
static struct vsr_peers *use_other_peers(struct desk *d)
{
    struct vsr_peers_options p;
    struct vsr_peers *peers;
    act_id ids[3];

    for (uint32_t i = 0; i < 3; i++)
        ids[i] = vsr_peers_id(d->options.peers, i);
    vsr_peers_options_init(&p);
    p.runtime = d->world.runtime;
    p.replicas = ids;
    p.cluster = d->world.options.replica.cluster;
    cr_assert_eq(vsr_peers_create(&p, &peers, NULL), 0);
    d->options.peers = peers;
    return peers;
}

/* client_actor.h: sessions that never open count as closed, whoever asks when. */
Test(clients, close_is_told_when_all_were_refused)
{
    struct desk d;
    struct vsr_peers *peers;

    make(&d, 3);
    d.options.seed = 5;
    spawn(&d);
    AWAIT(atomic_load(&d.results) == 3);
    const act_id first = d.id;
    peers = use_other_peers(&d);
    d.closes_when_refused = true;
    spawn(&d);
    AWAIT(atomic_load(&d.closed) == 1);
    cr_assert_eq(atomic_load(&d.refused), 3);
    stop_client(&d);
    d.id = first;
    stop_client(&d);
    world_stop(&d.world);
    vsr_peers_destroy(peers);
}

/* A message to a client whose header says another size than the runtime does is none. */
Test(clients, a_message_of_another_size_is_none)
{
    const uint32_t bytes = sizeof(struct vsr_header);
    const uint32_t sizes[] = {1, bytes - 1, bytes + 8};
    struct act_port *port;
    struct desk d;

    start(&d, 1);
    cr_assert_eq(act_port_open(d.world.runtime, &port), 0);
    for (uint32_t i = 0; i < 4; i++) { /* the last one is whole */
        const struct vsr_header header = {.magic = VSR_MAGIC,
                                          .version = VSR_VERSION,
                                          .type = VSR_NEW_VIEW,
                                          .cluster = d.world.options.replica.cluster,
                                          .view = 6,
                                          .bytes = bytes};
        struct act_message *m = act_message_create(NODE_MESSAGE, bytes + 8);
        cr_assert_not_null(m);
        memset(m->body, 0, bytes + 8);
        memcpy(m->body, &header, sizeof header);
        m->body_bytes = i < 3 ? sizes[i] : bytes;
        cr_assert_eq(act_send(d.id, m), 0);
        const unsigned ticks = atomic_load(&d.ticks);
        AWAIT(atomic_load(&d.ticks) > ticks + 3);
        cr_assert_eq(atomic_load(&d.view_hint), i < 3 ? 0 : 6, "message %u", i);
    }
    act_port_close(port);
    stop_client(&d);
    world_stop(&d.world);
}

/* client_actor.h: a client without `message` ends what it is sent; the runtime misses nothing. */
Test(clients, a_message_that_nobody_wants_is_ended)
{
    struct vsr_client_callbacks deaf = callbacks;
    struct desk d;

    make(&d, 1);
    deaf.message = NULL;
    d.options.callbacks = &deaf;
    spawn(&d);
    tell(&d, d.id);
    AWAIT(atomic_load(&d.results) == 1);
    stop_client(&d);
    world_stop(&d.world);
}

/** Sends a message to a client that it is told of while its worker is held up by it. */
struct holder {
    atomic_uint is_held;
    _Atomic(act_id) client;
};

static void hold_and_send(void *state, struct act_message *m)
{
    struct holder *h = state;

    atomic_store(&h->is_held, 1);
    AWAIT(atomic_load(&h->client) != ACT_ID_NONE);
    if (act_send(atomic_load(&h->client), m) != 0) act_message_unref(m);
    act_exit(0);
}

/* client_actor.h: a message that comes before the client has begun finds no session open; closed
 * before it has begun, it opens its sessions and closes them. */
Test(clients, a_message_may_come_before_all_else)
{
    static const struct act_behaviour behaviour = {.receive = hold_and_send};
    struct holder h = {.is_held = 0};
    struct act_port *port;
    struct desk d;
    act_id id;

    make(&d, 2);
    const struct act_spawn_options o = {
        .behaviour = &behaviour, .state = &h, .place = ACT_PLACE_ON(CLIENT_WORKER)};
    cr_assert_eq(act_port_open(d.world.runtime, &port), 0);
    cr_assert_eq(act_spawn(&o, &id), 0);
    act_port_close(port);
    tell(&d, id);
    AWAIT(atomic_load(&h.is_held) == 1);
    spawn(&d);
    atomic_store(&h.client, d.id);
    AWAIT(atomic_load(&d.closed) == 1);
    cr_assert_eq(atomic_load(&d.before), -EBUSY);
    stop_client(&d);
    world_stop(&d.world);
}

/* client_actor.h: gone is called once, however long the client lives on. */
Test(clients, gone_is_told_once)
{
    struct desk d;

    start(&d, 1);
    world_kill(&d.world, 1);
    cr_assert_eq(vsr_cluster_kill(d.world.cluster, 2, VSR_KILL_FORCED), 0);
    AWAIT(atomic_load(&d.gone) > 0);
    const unsigned ticks = atomic_load(&d.ticks);
    AWAIT(atomic_load(&d.ticks) > ticks + TICKS);
    cr_assert_eq(atomic_load(&d.gone), 1);
    stop_client(&d);
    world_stop(&d.world);
}

static void submit_from_another_actor(void *state, struct act_message *m)
{
    struct desk *d = state;

    act_message_unref(m);
    (void)!vsr_client_actor_submit(atomic_load(&d->client), 0, &add, sizeof add);
}

/* client_actor.h: only the client's callbacks may; others end the process, the mistake in words. */
Test(clients, submit_of_another_actor_is_an_error_of_the_program, .signal = SIGABRT)
{
    static const struct act_behaviour behaviour = {.receive = submit_from_another_actor};
    struct act_port *port;
    struct desk d;
    act_id id;

    world_expect_last_words("vsr_client_actor_submit is called wrongly");
    start(&d, 1);
    const struct act_spawn_options o = {
        .behaviour = &behaviour, .state = &d, .place = ACT_PLACE_ON(CLIENT_WORKER)};
    cr_assert_eq(act_port_open(d.world.runtime, &port), 0);
    cr_assert_eq(act_spawn(&o, &id), 0);
    act_port_close(port);
    tell(&d, id);
    AWAIT(false);
}

Test(clients, submit_of_a_thread_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct desk d;

    world_expect_last_words("vsr_client_actor_submit is called wrongly");
    start(&d, 1);
    (void)!vsr_client_actor_submit(atomic_load(&d.client), 0, &add, sizeof add);
}

Test(clients, close_of_a_thread_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct desk d;

    world_expect_last_words("vsr_client_actor_close is called wrongly");
    start(&d, 1);
    vsr_client_actor_close(atomic_load(&d.client));
}

Test(clients, report_for_a_thread_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct vsr_client_report report;
    struct act_port *port;
    struct desk d;

    world_expect_last_words("vsr_client_actor_report is called wrongly");
    start(&d, 1);
    cr_assert_eq(act_port_open(d.world.runtime, &port), 0);
    vsr_client_actor_report(atomic_load(&d.client), &report);
}

/* peers.h: destroyed after the last client with them. */
Test(clients, peers_end_after_their_clients, .signal = SIGABRT)
{
    struct desk d;
    struct vsr_peers *peers;

    world_expect_last_words("vsr_peers_destroy is called wrongly: a client or a service");
    make(&d, 1);
    peers = use_other_peers(&d);
    spawn(&d);
    vsr_peers_destroy(peers);
}

/* client_actor.h: an option out of range is named, and nothing is asked for twice. */
Test(clients, what_is_missing_is_named)
{
    struct vsr_error why = {0};
    struct desk d;
    act_id id;

    make(&d, 1);
    cr_assert_eq(vsr_client_actor_spawn(NULL, &id, &why), -EINVAL);
    cr_assert_neq(why.text[0], '\0');
    cr_assert_eq(vsr_client_actor_spawn(&d.options, NULL, &why), -EINVAL);
    d.options.callbacks = NULL;
    cr_assert_eq(vsr_client_actor_spawn(&d.options, &id, &why), -EINVAL);
    cr_assert_str_eq(why.option, "callbacks");
    world_stop(&d.world);
}
