/**
 * A client as an actor: sessions for an embedder's callbacks.
 */
#include "../core/assert.h"
#include "buffers.h"
#include "errors.h"
#include "health.h"
#include "identity.h"
#include "messages.h"
#include "misuse.h"
#include "outbox.h"
#include "peers.h"
#include "ports.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <act/timer.h>
#include <vsr/client_actor.h>
#include <vsr/cluster.h>
#include <vsr/message.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A submit and a turn's end bring no more than this many messages to send. */
enum { SENDS_MAX = 64 };

struct vsr_client_actor {
    struct vsr_client *core;
    struct vsr_client_effects effects; /* of received messages and ticks */
    struct vsr_client_effect sends[SENDS_MAX];
    struct vsr_node_outbox outbox;
    const struct vsr_client_callbacks *callbacks;
    void *context;
    act_id self; /* ACT_ID_NONE before its first message */
    act_id peers[VSR_REPLICAS_MAX];
    uint32_t peer_count;
    struct vsr_peers *owner; /* of what all clients share; NULL: it does not count as one */
    struct vsr_node_member member;
    bool is_gone;
    uint32_t sessions;
    uint32_t closed; /* of them, or refused */
    bool is_closing;
    bool is_closed; /* has been told */
    bool has_timer; /* ticks come */
    uint64_t tick_ns;
    struct vsr_client_options options;
    void *memory; /* of the core, until it is laid out */
};

static void send_request(struct vsr_client_actor *client, const struct vsr_client_effect *e)
{
    struct act_message *m = vsr_node_message(&e->buffer);
    uint32_t to_mask = e->to;

    VSR_ASSERT(to_mask != 0);
    VSR_ASSERT(to_mask >> client->peer_count == 0);
    for (uint32_t i = 0; to_mask != 0; i++) {
        if ((to_mask >> i & 1) == 0) continue;
        to_mask &= ~(1u << i);
        struct act_message *own = to_mask == 0 ? m : act_message_ref(m);
        if (own != NULL) vsr_node_outbox_send(&client->outbox, client->peers[i], own);
    }
}

/** Performs what comes outside of messages and ticks: no callback's. */
static void perform_sends(struct vsr_client_actor *client, const struct vsr_client_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++) {
        const struct vsr_client_effect *e = &effects->list[i];
        VSR_ASSERT(e->kind == VSR_CLIENT_SEND || e->kind == VSR_CLIENT_CLOSED);
        if (e->kind == VSR_CLIENT_SEND)
            send_request(client, e);
        else
            client->closed++;
    }
    VSR_ASSERT(client->closed <= client->sessions);
}

/** The callbacks submit while the list is walked; what that sends has a list of its own. */
static void perform(struct vsr_client_actor *client)
{
    const struct vsr_client_callbacks *call = client->callbacks;

    VSR_ASSERT(client->self == act_self());
    VSR_ASSERT(client->effects.count <= client->effects.capacity);
    for (uint32_t i = 0; i < client->effects.count; i++) {
        const struct vsr_client_effect *e = &client->effects.list[i];
        switch (e->kind) {
        case VSR_CLIENT_SEND:
            send_request(client, e);
            break;
        case VSR_CLIENT_OPENED:
            if (call->opened != NULL) call->opened(client->context, client, e->session);
            break;
        case VSR_CLIENT_RESULT:
            if (call->result != NULL)
                call->result(client->context, client, e->session, e->result, e->result_bytes);
            break;
        case VSR_CLIENT_EVICTED:
            if (call->evicted != NULL) call->evicted(client->context, client, e->session);
            break;
        case VSR_CLIENT_NOT_EXECUTED:
            if (call->not_executed != NULL)
                call->not_executed(client->context, client, e->session, e->status);
            break;
        case VSR_CLIENT_CLOSED:
            client->closed++;
            break;
        case VSR_CLIENT_REFUSED:
            client->closed++;
            fprintf(stderr,
                    "vsr: another client has the id of this one's session %u: no two "
                    "clients of a cluster may have one seed\n",
                    e->session);
            if (call->refused != NULL) call->refused(client->context, client, e->session);
            break;
        }
    }
    VSR_ASSERT(client->closed <= client->sessions);
    client->effects.count = 0;
}

/** Ends the process unless one of the client's callbacks is running: nobody else has its worker. */
static void require_callback(const struct vsr_client_actor *client, const char *function)
{
    if (client == NULL || act_self() == ACT_ID_NONE || act_self() != client->self)
        vsr_node_misuse(function, "a client belongs to its own callbacks");
}

int vsr_client_actor_submit(struct vsr_client_actor *client, uint32_t session, const void *payload,
                            uint32_t payload_bytes)
{
    require_callback(client, __func__);
    struct vsr_client_effects sends = {.list = client->sends, .capacity = SENDS_MAX};
    if (payload == NULL && payload_bytes > 0) return -EINVAL;
    if (session >= client->sessions) return -EINVAL;
    if (client->core == NULL) return -EBUSY; /* A message came before all else. */
    int error = vsr_client_submit(client->core, session, payload, payload_bytes, &sends);

    perform_sends(client, &sends);
    return error;
}

uint32_t vsr_client_actor_sessions(const struct vsr_client_actor *client)
{
    require_callback(client, __func__);
    return client->sessions;
}

void vsr_client_actor_report(const struct vsr_client_actor *client,
                             struct vsr_client_report *report)
{
    require_callback(client, __func__);
    *report = (struct vsr_client_report){0};
    if (client->core != NULL) vsr_client_report(client->core, report);
}

void vsr_client_actor_close(struct vsr_client_actor *client)
{
    require_callback(client, __func__);
    struct vsr_client_effects sends = {.list = client->sends, .capacity = SENDS_MAX};

    client->is_closing = true;
    if (client->core == NULL) return; /* As soon as it begins. */
    vsr_client_close(client->core, &sends);
    perform_sends(client, &sends);
}

static void start_tick(struct vsr_client_actor *client)
{
    VSR_ASSERT(client->core != NULL);
    client->has_timer = act_timer_start_periodic(client->tick_ns, NODE_TICK, 0, NULL) == 0;
    if (!client->has_timer)
        fprintf(stderr, "vsr: a client has no memory for its timer; it asks again at the end of "
                        "every turn\n");
}

/** The actor's id is the address of its replies, so the core is laid out by its first message. */
static void start(struct vsr_client_actor *client)
{
    client->options.address = act_self();
    VSR_ASSERT(client->core == NULL);
    VSR_ASSERT(client->memory != NULL);
    VSR_ASSERT(client->effects.count == 0);
    vsr_node_peers_name(client->owner, &client->member, client->self);
    client->core = vsr_client_init(client->memory, &client->options);
    vsr_client_open(client->core, &client->effects);
    if (client->is_closing) vsr_client_close(client->core, &client->effects);
    perform(client);
    start_tick(client);
}

/** Rule 12 of liveness: a state that cannot end by itself is told. */
static void on_gone(struct vsr_client_actor *client)
{
    if (client->is_gone) return;
    client->is_gone = true;
    if (client->callbacks->gone != NULL) client->callbacks->gone(client->context, client);
}

static void receive(void *state, struct act_message *m)
{
    struct vsr_client_actor *client = state;
    const struct vsr_header *header = m->body;

    VSR_ASSERT(client->self == ACT_ID_NONE || client->self == act_self());
    client->self = act_self();
    switch (m->type) {
    case NODE_MESSAGE:
        if (client->core == NULL || m->body_bytes < sizeof *header ||
            m->body_bytes != header->bytes)
            break;
        vsr_client_receive(client->core, header, &client->effects);
        perform(client);
        break;
    case NODE_TICK:
        if (client->core == NULL) break; /* Not of its timer. */
        if (client->is_gone ||
            (client->owner->health != NULL && vsr_node_health_is_gone(client->owner->health))) {
            on_gone(client);
            break;
        }
        vsr_client_tick(client->core, &client->effects);
        perform(client);
        break;
    case NODE_START: /* once, whoever says it, and not when the spawn has failed */
        if (client->core == NULL && client->owner != NULL) start(client);
        break;
    case ACT_TYPE_ROOM:
        break; /* The turn's end tries again. */
    default:
        if (client->callbacks->message == NULL) break;
        client->callbacks->message(client->context, client, m);
        return;
    }
    act_message_unref(m);
}

static void turn_end(void *state)
{
    struct vsr_client_actor *client = state;
    struct vsr_client_effects sends = {.list = client->sends, .capacity = SENDS_MAX};

    if (client->core == NULL) return;
    VSR_ASSERT(client->effects.count == 0); /* Each message's are performed. */
    if (!client->has_timer) start_tick(client);
    if (client->is_closing && !client->is_closed && client->closed == client->sessions) {
        client->is_closed = true;
        if (client->callbacks->closed != NULL) client->callbacks->closed(client->context, client);
    }
    if (client->callbacks->turn_end != NULL) client->callbacks->turn_end(client->context, client);
    vsr_client_turn_end(client->core, &sends);
    perform_sends(client, &sends);
    if (client->outbox.count > 0) vsr_node_outbox_retry(&client->outbox);
}

static void destroy(struct vsr_client_actor *client)
{
    if (client->owner != NULL) vsr_node_peers_leave(client->owner, &client->member);
    if (client->core != NULL) vsr_client_deinit(client->core);
    vsr_node_outbox_deinit(&client->outbox);
    free(client->effects.list);
    free(client->memory);
    free(client);
}

/** Its sessions are closed if the primary hears of it; if not they are evicted one day. */
static void leave(struct vsr_client_actor *client)
{
    if (client->core == NULL) return;
    VSR_ASSERT(client->effects.count == 0);
    vsr_client_leave(client->core, &client->effects);
    vsr_client_turn_end(client->core, &client->effects);
    for (uint32_t i = 0; i < client->effects.count; i++)
        if (client->effects.list[i].kind == VSR_CLIENT_SEND)
            send_request(client, &client->effects.list[i]);
    client->effects.count = 0;
}

static void stopped(void *state, int reason)
{
    struct vsr_client_actor *client = state;
    const struct vsr_client_callbacks *callbacks = client->callbacks;
    void *context = client->context;

    VSR_ASSERT(callbacks != NULL);
    if (reason != ACT_REASON_SHUTDOWN) leave(client);
    destroy(client);
    if (callbacks->stopped != NULL) callbacks->stopped(context);
}

static const struct vsr_client_callbacks no_callbacks = {0};

static const struct act_behaviour behaviour = {
    .receive = receive,
    .turn_end = turn_end,
    .stopped = stopped,
};

void vsr_client_actor_options_init(struct vsr_client_actor_options *options)
{
    *options = (struct vsr_client_actor_options){.mailbox_max = 1 << 20};
    vsr_client_options_init(&options->client);
}

static struct vsr_client_actor *create(const struct vsr_client_actor_options *options,
                                       const struct vsr_client_options *client_options)
{
    struct vsr_peers *peers = options->peers;
    const size_t bytes = (vsr_client_bytes(client_options) + 63) & ~(size_t)63;
    struct vsr_client_actor *client = calloc(1, sizeof *client);

    VSR_ASSERT(peers->options.tick_ns > 0);
    VSR_ASSERT(client_options->sessions > 0);
    VSR_ASSERT(client_options->replica_count <= VSR_REPLICAS_MAX);
    if (client == NULL) return NULL;
    client->options = *client_options;
    client->callbacks = options->callbacks;
    client->context = options->context;
    client->sessions = client_options->sessions;
    client->owner = peers;
    vsr_node_peers_enter(peers, &client->member);
    client->peer_count = client_options->replica_count;
    client->tick_ns = peers->options.tick_ns;
    memcpy(client->peers, peers->ids, sizeof client->peers);
    client->effects.capacity = vsr_client_effects_max(client_options);
    client->effects.list = calloc(client->effects.capacity, sizeof *client->effects.list);
    client->memory = aligned_alloc(64, bytes);
    if (client->memory != NULL) memset(client->memory, 0, bytes);
    if (vsr_node_outbox_init(&client->outbox, peers->options.send, peers->options.send_context) !=
            0 ||
        client->effects.list == NULL || client->memory == NULL) {
        destroy(client);
        return NULL;
    }
    return client;
}

/** Spawns the actor and tells it to open its sessions. Ownership: takes client. */
static int spawn(const struct vsr_client_actor_options *options, struct vsr_client_actor *client,
                 act_id *id)
{
    struct act_message *m = act_message_create(NODE_START, 0);
    int error = m != NULL ? 0 : -ENOMEM;

    if (error != 0) {
        destroy(client);
        return error;
    }
    error = act_spawn(
        &(struct act_spawn_options){
            .behaviour = &behaviour,
            .state = client,
            .place = options->place,
            .mailbox_max = options->mailbox_max,
        },
        id);
    if (error != 0) {
        act_message_unref(m);
        destroy(client);
        return error;
    }
    error = act_send(*id, m);
    if (error == 0) return 0;
    act_message_unref(m);
    client->callbacks = &no_callbacks; /* The embedder hears of the error here, and only here. */
    vsr_node_peers_leave(client->owner, &client->member);
    client->owner = NULL;
    if (act_stop(*id, 0) != 0) {
        /* Its lane is full: it never starts, and goes when the runtime stops. */
    }
    return error;
}

static int check(const struct vsr_client_actor_options *options, struct vsr_error *why)
{
    if (options->peers != NULL && options->callbacks != NULL) return 0;
    return vsr_node_explain(why, options->peers == NULL ? "peers" : "callbacks", -EINVAL,
                            "%s is NULL; it has no default",
                            options->peers == NULL ? "peers" : "callbacks");
}

static int spawn_client(const struct vsr_client_actor_options *options, act_id *id,
                        struct vsr_error *why)
{
    struct vsr_client_options o = options->client;
    struct act_port *port;
    int error = check(options, why);
    if (error != 0) return error;

    const struct vsr_peers_options *peers = &options->peers->options;
    o.cluster = peers->cluster;
    o.replica_count = peers->replica_count;
    o.sessions_max = peers->sessions_max;
    o.op_bytes_max = peers->op_bytes_max;
    o.buffers = vsr_node_buffers;
    o.id[0] = 1; /* The others first: a seed that is claimed stays claimed. */
    error = vsr_client_options_check(&o, why);
    if (error != 0) return error;
    error = vsr_node_identify(&options->peers->identities, options->seed, o.id, why);
    if (error != 0) return error;
    error = vsr_node_port_borrow(peers->runtime, &port);
    if (error != 0) return error;

    struct vsr_client_actor *client = create(options, &o);
    error = client != NULL ? spawn(options, client, id) : -ENOMEM;
    vsr_node_port_return(port);
    return error;
}

int vsr_client_actor_spawn(const struct vsr_client_actor_options *options, act_id *id,
                           struct vsr_error *why)
{
    if (why != NULL) *why = (struct vsr_error){.rule = ""};
    const int error = options != NULL && id != NULL ? spawn_client(options, id, why) : -EINVAL;

    vsr_node_error_finish(why, error);
    return error;
}
