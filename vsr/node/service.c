/**
 * A service: a client actor that takes operations as messages. See vsr/service.h.
 *
 * An operation is a message, and its answer is mostly the same one: room for it was there when the
 * operation was sent. For results that do not fit another message is taken before the operation
 * gets a session; without one it is not executed, and its own message says so.
 */
#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/cluster.h>
#include <vsr/service.h>

#include "../core/assert.h"
#include "../core/options.h"
#include "answers.h"
#include "errors.h"
#include "messages.h"
#include "peers.h"
#include "ports.h"
#include "stopper.h"
#include "submit.h"

#include <act/timer.h>
#include <vsr/client_actor.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** A full queue is searched for what is too late this often at most. */
#define SWEEP_NS 1000000ull
/** A service that stops ends when nothing was sent to it for so long: it is answered, not lost. */
#define LINGER_NS 2000000ull

/** An operation that was accepted. */
struct operation {
    struct act_message *submit; /* NULL: none */
    struct act_message *answer; /* room for the answer; NULL: the submit has it */
};

struct service {
    uint32_t *free_sessions; /* a stack */
    uint32_t free_count;
    struct operation *outstanding; /* by session */
    uint32_t outstanding_count;
    struct operation *waiting; /* a ring of those that wait for a session */
    uint32_t waiting_mask;
    uint32_t waiting_max;
    uint32_t waiting_head;
    uint32_t waiting_count;
    uint32_t sessions;
    uint32_t refused;          /* sessions that will never open */
    uint32_t result_bytes_max; /* the cluster's */
    uint64_t sweep_due_ns;
    bool is_stopping; /* takes nothing more, ends when all is answered and its sessions closed */
    bool is_closed;
    bool is_gone; /* the cluster is */
    uint64_t stop_due_ns;
    struct vsr_node_answers answers;
};

static struct vsr_node_submit submit_of(const struct act_message *m)
{
    struct vsr_node_submit submit;

    VSR_ASSERT(m->body_bytes >= sizeof submit);
    memcpy(&submit, m->body, sizeof submit);
    return submit;
}

/** Ownership: takes the operation's messages. */
static void answer(struct service *s, struct operation o, int32_t status, const void *result,
                   uint32_t result_bytes)
{
    const struct vsr_answer head = {
        .cookie = submit_of(o.submit).cookie, .status = status, .result_bytes = result_bytes};
    const act_id to = o.submit->from;
    struct act_message *m = o.submit;

    if (o.answer != NULL) {
        m = o.answer;
        act_message_unref(o.submit);
    }
    VSR_ASSERT(result_bytes <= s->result_bytes_max || result_bytes <= RESULT_BYTES_OWN);
    VSR_ASSERT(act_message_capacity(m) >= sizeof head + result_bytes);
    m->type = VSR_TYPE_ANSWER;
    m->body_bytes = (uint32_t)sizeof head + result_bytes;
    memcpy(m->body, &head, sizeof head);
    if (result_bytes > 0) memcpy((uint8_t *)m->body + sizeof head, result, result_bytes);
    vsr_node_answers_send(&s->answers, to, m);
}

static struct operation take_waiting(struct service *s)
{
    struct operation o = s->waiting[s->waiting_head];

    VSR_ASSERT(s->waiting_count > 0);
    VSR_ASSERT(o.submit != NULL);
    s->waiting_head = (s->waiting_head + 1) & s->waiting_mask;
    s->waiting_count--;
    return o;
}

static bool is_late(const struct operation *o, uint64_t now_ns)
{
    const uint64_t deadline = submit_of(o->submit).deadline_ns;
    return deadline != 0 && deadline <= now_ns;
}

/** Makes room for the largest answer. False: the pool has none. */
static bool reserve(const struct service *s, struct operation *o)
{
    const uint32_t bytes =
        vsr_node_answer_capacity((uint32_t)sizeof(struct vsr_answer) + s->result_bytes_max);

    if (o->answer != NULL || act_message_capacity(o->submit) >= bytes) return true;
    o->answer = act_message_create(VSR_TYPE_ANSWER, bytes);
    return o->answer != NULL;
}

/** Gives a waiting operation to a free session, while there are both. */
static void dispatch(struct service *s, struct vsr_client_actor *client)
{
    while (s->free_count > 0 && s->waiting_count > 0) {
        const uint32_t session = s->free_sessions[s->free_count - 1];
        struct operation o = take_waiting(s);
        const struct vsr_node_submit submit = submit_of(o.submit);
        const uint8_t *payload = (const uint8_t *)o.submit->body + sizeof submit;

        if (submit.deadline_ns != 0 && is_late(&o, act_now_ns())) {
            answer(s, o, -ECANCELED, NULL, 0);
            continue;
        }
        int error = reserve(s, &o)
                        ? vsr_client_actor_submit(client, session, payload, submit.payload_bytes)
                        : -ENOMEM;
        if (error != 0) {
            answer(s, o, error, NULL, 0);
            continue;
        }
        VSR_ASSERT(s->outstanding[session].submit == NULL);
        s->free_count--;
        s->outstanding[session] = o;
        s->outstanding_count++;
    }
}

static void on_opened(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct service *s = context;

    VSR_ASSERT(session < s->sessions);
    VSR_ASSERT(s->free_count < s->sessions);
    s->free_sessions[s->free_count++] = session;
    dispatch(s, client);
}

static struct operation take_outstanding(struct service *s, uint32_t session)
{
    struct operation o = s->outstanding[session];

    VSR_ASSERT(o.submit != NULL);
    VSR_ASSERT(s->outstanding_count > 0);
    s->outstanding[session] = (struct operation){0};
    s->outstanding_count--;
    return o;
}

static void on_result(void *context, struct vsr_client_actor *client, uint32_t session,
                      const void *result, uint32_t result_bytes)
{
    struct service *s = context;

    if (s->outstanding[session].submit == NULL) return; /* It was told that the cluster is gone. */
    answer(s, take_outstanding(s, session), 0, result, result_bytes);
    VSR_ASSERT(s->free_count < s->sessions);
    s->free_sessions[s->free_count++] = session;
    dispatch(s, client);
}

static void on_evicted(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct service *s = context;

    (void)client;
    if (s->outstanding[session].submit == NULL) return;
    answer(s, take_outstanding(s, session), -ECONNRESET, NULL, 0);
}

/** Evicted while it was idle, as a rule: nobody is told, the operation waits for another session.
 */
static void on_not_executed(void *context, struct vsr_client_actor *client, uint32_t session,
                            int status)
{
    struct service *s = context;

    (void)client;
    if (s->outstanding[session].submit == NULL) return;
    struct operation o = take_outstanding(s, session);
    if (status == -EMSGSIZE || s->is_stopping || s->waiting_count == s->waiting_max) {
        answer(s, o,
               status == -EMSGSIZE ? -EMSGSIZE
               : s->is_stopping    ? -ECANCELED
                                   : -EAGAIN,
               NULL, 0);
        return;
    }
    VSR_ASSERT(s->waiting_count < s->waiting_max);
    s->waiting_head = (s->waiting_head - 1) & s->waiting_mask;
    s->waiting[s->waiting_head] = o;
    s->waiting_count++;
}

static void on_closed(void *context, struct vsr_client_actor *client)
{
    struct service *s = context;

    (void)client;
    s->is_closed = true;
}

/** Answers all that wait for a session. */
static void cancel_waiting(struct service *s, int32_t status)
{
    while (s->waiting_count > 0)
        answer(s, take_waiting(s), status, NULL, 0);
}

static void on_gone(void *context, struct vsr_client_actor *client)
{
    struct service *s = context;

    (void)client;
    s->is_gone = s->is_closed = true;
    for (uint32_t i = 0; i < s->sessions; i++)
        if (s->outstanding[i].submit != NULL)
            answer(s, take_outstanding(s, i), -EOWNERDEAD, NULL, 0);
    VSR_ASSERT(s->outstanding_count == 0);
    cancel_waiting(s, -ENOTRECOVERABLE);
}

static void on_refused(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct service *s = context;

    (void)client;
    (void)session;
    VSR_ASSERT(s->refused < s->sessions);
    if (++s->refused == s->sessions) {
        cancel_waiting(s, -ECANCELED);
        s->is_closed = true;
    }
}

/** Makes room among those that wait: some may be too late by now. */
static void drop_late(struct service *s)
{
    const uint64_t now_ns = act_now_ns();

    if (now_ns < s->sweep_due_ns) return;
    s->sweep_due_ns = now_ns + SWEEP_NS;
    for (uint32_t left = s->waiting_count; left > 0; left--) {
        struct operation o = take_waiting(s);
        if (is_late(&o, now_ns))
            answer(s, o, -ECANCELED, NULL, 0);
        else
            s->waiting[(s->waiting_head + s->waiting_count++) & s->waiting_mask] = o;
    }
}

/** Accepts an operation, or says why not. Ownership: takes m. */
static void on_submit(struct service *s, struct vsr_client_actor *client, struct act_message *m)
{
    const struct operation o = {.submit = m};

    if (s->is_stopping) s->stop_due_ns = act_now_ns() + LINGER_NS;
    if (s->is_gone) {
        answer(s, o, -ENOTRECOVERABLE, NULL, 0);
        return;
    }
    if (s->is_stopping || s->refused == s->sessions) {
        answer(s, o, -ECANCELED, NULL, 0);
        return;
    }
    VSR_ASSERT(!s->is_closed);
    if (s->waiting_count == s->waiting_max) drop_late(s);
    if (s->waiting_count == s->waiting_max) {
        answer(s, o, -EAGAIN, NULL, 0);
        return;
    }
    s->waiting[(s->waiting_head + s->waiting_count++) & s->waiting_mask] = o;
    dispatch(s, client);
}

static void on_message(void *context, struct vsr_client_actor *client, struct act_message *m)
{
    struct service *s = context;

    if (m->type == NODE_SUBMIT && m->body_bytes >= sizeof(struct vsr_node_submit) &&
        submit_of(m).payload_bytes <= m->body_bytes - sizeof(struct vsr_node_submit)) {
        on_submit(s, client, m);
        return;
    }
    if (m->type == NODE_STOP && !s->is_stopping) {
        s->is_stopping = true;
        s->stop_due_ns = act_now_ns() + LINGER_NS;
        cancel_waiting(s, -ECANCELED);
        vsr_client_actor_close(client);
    }
    act_message_unref(m);
}

static void on_turn_end(void *context, struct vsr_client_actor *client)
{
    struct service *s = context;

    (void)client;
    VSR_ASSERT(!s->is_stopping || s->waiting_count == 0);
    VSR_ASSERT(s->free_count + s->outstanding_count <= s->sessions);
    if (s->answers.count > 0) vsr_node_answers_retry(&s->answers);
    if (s->is_stopping && s->is_closed && s->answers.count == 0 && act_now_ns() >= s->stop_due_ns)
        act_exit(0);
}

static void destroy(struct service *s)
{
    VSR_ASSERT(s->waiting_count == 0);
    VSR_ASSERT(s->outstanding_count == 0);
    vsr_node_answers_clear(&s->answers);
    free(s->waiting);
    free(s->outstanding);
    free(s->free_sessions);
    free(s);
}

static void on_stopped(void *context)
{
    struct service *s = context;

    for (uint32_t i = 0; i < s->sessions; i++)
        if (s->outstanding[i].submit != NULL)
            answer(s, take_outstanding(s, i), -ECONNRESET, NULL, 0);
    cancel_waiting(s, -ECANCELED);
    destroy(s);
}

static const struct vsr_client_callbacks service_callbacks = {
    .opened = on_opened,
    .result = on_result,
    .evicted = on_evicted,
    .not_executed = on_not_executed,
    .closed = on_closed,
    .gone = on_gone,
    .refused = on_refused,
    .message = on_message,
    .turn_end = on_turn_end,
    .stopped = on_stopped,
};

static struct service *create(const struct vsr_service_options *options)
{
    struct service *s = calloc(1, sizeof *s);
    uint32_t size = 1;

    if (s == NULL) return NULL;
    while (size < options->waiting_max)
        size *= 2;
    s->sessions = options->sessions;
    s->waiting_max = options->waiting_max;
    s->waiting_mask = size - 1;
    s->result_bytes_max = options->peers->options.result_bytes_max;
    s->free_sessions = calloc(options->sessions, sizeof *s->free_sessions);
    s->outstanding = calloc(options->sessions, sizeof *s->outstanding);
    s->waiting = calloc(size, sizeof *s->waiting);
    if (s->free_sessions != NULL && s->outstanding != NULL && s->waiting != NULL) return s;
    destroy(s);
    return NULL;
}

void vsr_service_options_init(struct vsr_service_options *options)
{
    *options = (struct vsr_service_options){
        .sessions = 64,
        .waiting_max = 1024,
        .mailbox_max = 1 << 20,
    };
}

static int check(const struct vsr_service_options *options, struct vsr_error *why)
{
    const struct vsr_option_range ranges[] = {
        {.name = "peers",
         .value = options->peers != NULL,
         .min = 1,
         .max = 1,
         .rule = "vsr_cluster_peers, or vsr_peers_create"},
        {.name = "sessions", .value = options->sessions, .min = 1, .max = VSR_SESSIONS_MAX},
        {.name = "waiting_max", .value = options->waiting_max, .min = 1, .max = VSR_SESSIONS_MAX},
    };
    return vsr_options_check(ranges, sizeof ranges / sizeof ranges[0], why);
}

int vsr_service_spawn(const struct vsr_service_options *options, act_id *id, struct vsr_error *why)
{
    struct vsr_client_actor_options o;
    if (why != NULL) *why = (struct vsr_error){.rule = ""};
    int error = options != NULL && id != NULL ? check(options, why) : -EINVAL;
    struct service *s = error == 0 ? create(options) : NULL;
    if (error == 0 && s == NULL) error = -ENOMEM;
    if (error != 0) {
        vsr_node_error_finish(why, error);
        return error;
    }
    vsr_client_actor_options_init(&o);
    o.peers = options->peers;
    o.client.sessions = options->sessions;
    o.seed = options->seed;
    o.callbacks = &service_callbacks;
    o.context = s;
    o.place = options->place;
    o.mailbox_max = options->mailbox_max;
    error = vsr_client_actor_spawn(&o, id, why);
    if (error != 0) destroy(s);
    return error;
}

int vsr_service_stop(struct act_runtime *runtime, act_id service, uint64_t timeout_ns)
{
    struct act_port *port;

    if (act_on_worker()) return -EDEADLK;
    int error = vsr_node_port_borrow(runtime, &port);
    if (error != 0) return error;
    error = vsr_node_stop_service(service, timeout_ns);
    vsr_node_port_return(port);
    return error;
}
