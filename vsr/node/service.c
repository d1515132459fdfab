/**
 * A service: a client actor that takes operations as messages; and callers, for foreign threads.
 */
#include "node.h"

#include <act/port.h>
#include <act/timer.h>
#include <vsr/client_actor.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct service {
    uint32_t *free_sessions; /* a stack */
    uint32_t free_count;
    struct act_message **outstanding; /* by session: the NODE_SUBMIT that it carries */
    struct act_message **waiting;     /* a ring of NODE_SUBMITs that wait for a session */
    uint32_t waiting_mask;
    uint32_t waiting_max;
    uint32_t waiting_head;
    uint32_t waiting_count;
    uint32_t sessions;
    struct node_outbox answers; /* that their receiver had no room for */
};

static void answer(struct service *s, struct act_message *submit, int32_t status,
                   const void *result, uint32_t result_bytes)
{
    struct node_submit request;
    struct act_message *m =
        act_message_create(VSR_TYPE_ANSWER, (uint32_t)sizeof(struct vsr_answer) + result_bytes);

    memcpy(&request, submit->body, sizeof request);
    if (m != NULL) {
        struct vsr_answer *body = m->body;
        *body = (struct vsr_answer){
            .cookie = request.cookie, .status = status, .result_bytes = result_bytes};
        if (result_bytes > 0) memcpy(body + 1, result, result_bytes);
        node_outbox_send(&s->answers, submit->from, m);
    }
    act_message_unref(submit);
}

/** Gives a waiting operation to a free session, while there are both. */
static void dispatch(struct service *s, struct vsr_client_actor *client)
{
    while (s->free_count > 0 && s->waiting_count > 0) {
        struct act_message *m = s->waiting[s->waiting_head];
        uint32_t session = s->free_sessions[s->free_count - 1];
        const uint8_t *payload = (const uint8_t *)m->body + sizeof(struct node_submit);

        s->waiting_head = (s->waiting_head + 1) & s->waiting_mask;
        s->waiting_count--;
        int error = vsr_client_actor_submit(client, session, payload,
                                            m->body_bytes - (uint32_t)sizeof(struct node_submit));
        if (error != 0) {
            answer(s, m, error, NULL, 0);
            continue;
        }
        s->free_count--;
        s->outstanding[session] = m;
    }
}

static void on_opened(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct service *s = context;

    s->free_sessions[s->free_count++] = session;
    dispatch(s, client);
}

static void on_result(void *context, struct vsr_client_actor *client, uint32_t session,
                      const void *result, uint32_t result_bytes)
{
    struct service *s = context;

    answer(s, s->outstanding[session], 0, result, result_bytes);
    s->outstanding[session] = NULL;
    s->free_sessions[s->free_count++] = session;
    dispatch(s, client);
}

static void on_evicted(void *context, struct vsr_client_actor *client, uint32_t session)
{
    struct service *s = context;

    (void)client;
    answer(s, s->outstanding[session], -ECONNRESET, NULL, 0);
    s->outstanding[session] = NULL;
}

static void on_message(void *context, struct vsr_client_actor *client, struct act_message *m)
{
    struct service *s = context;

    if (m->type != NODE_SUBMIT || m->body_bytes < sizeof(struct node_submit)) {
        act_message_unref(m);
        return;
    }
    if (s->waiting_count == s->waiting_max) {
        answer(s, m, -EAGAIN, NULL, 0);
        return;
    }
    s->waiting[(s->waiting_head + s->waiting_count++) & s->waiting_mask] = m;
    dispatch(s, client);
}

static void on_turn_end(void *context, struct vsr_client_actor *client)
{
    struct service *s = context;

    (void)client;
    if (s->answers.count > 0) node_outbox_retry(&s->answers);
}

static void destroy(struct service *s)
{
    node_outbox_deinit(&s->answers);
    free(s->waiting);
    free(s->outstanding);
    free(s->free_sessions);
    free(s);
}

static void on_stopped(void *context)
{
    struct service *s = context;

    for (uint32_t i = 0; i < s->sessions; i++)
        if (s->outstanding[i] != NULL) answer(s, s->outstanding[i], -ECONNRESET, NULL, 0);
    for (uint32_t i = 0; i < s->waiting_count; i++)
        answer(s, s->waiting[(s->waiting_head + i) & s->waiting_mask], -EAGAIN, NULL, 0);
    destroy(s);
}

static const struct vsr_client_callbacks service_callbacks = {
    .opened = on_opened,
    .result = on_result,
    .evicted = on_evicted,
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
    s->free_sessions = calloc(options->sessions, sizeof *s->free_sessions);
    s->outstanding = calloc(options->sessions, sizeof(struct act_message *));
    s->waiting = calloc(size, sizeof(struct act_message *));
    if (node_outbox_init(&s->answers, NULL) == 0 && s->free_sessions != NULL &&
        s->outstanding != NULL && s->waiting != NULL)
        return s;
    destroy(s);
    return NULL;
}

void vsr_service_options_init(struct vsr_service_options *options)
{
    *options = (struct vsr_service_options){.sessions = 64, .waiting_max = 1024};
}

int vsr_service_spawn(const struct vsr_service_options *options, act_id *id, struct vsr_error *why)
{
    struct vsr_client_actor_options o;

    if (options->sessions < 1 || options->sessions > VSR_SESSIONS_MAX || options->waiting_max < 1 ||
        options->waiting_max > VSR_SESSIONS_MAX) {
        bool is_sessions = options->sessions < 1 || options->sessions > VSR_SESSIONS_MAX;
        if (why != NULL)
            *why = (struct vsr_error){
                .option = is_sessions ? "sessions" : "waiting_max",
                .value = is_sessions ? options->sessions : options->waiting_max,
                .min = 1,
                .max = VSR_SESSIONS_MAX,
                .rule = "",
            };
        return -EINVAL;
    }
    struct service *s = create(options);
    if (s == NULL) return -ENOMEM;
    vsr_client_actor_options_init(&o);
    o.cluster = options->cluster;
    o.client.sessions = options->sessions;
    o.seed = options->seed;
    o.callbacks = &service_callbacks;
    o.context = s;
    o.place = options->place;
    int error = vsr_client_actor_spawn(&o, id, why);
    if (error != 0) destroy(s);
    return error;
}

int vsr_service_send(act_id service, uint64_t cookie, const void *payload, uint32_t payload_bytes)
{
    const struct node_submit request = {.cookie = cookie};

    if (payload_bytes > VSR_OP_BYTES_MAX) return -EMSGSIZE;
    struct act_message *m =
        act_message_create(NODE_SUBMIT, (uint32_t)sizeof request + payload_bytes);
    if (m == NULL) return -ENOMEM;
    memcpy(m->body, &request, sizeof request);
    if (payload_bytes > 0) memcpy((uint8_t *)m->body + sizeof request, payload, payload_bytes);
    int error = act_send(service, m);
    if (error != 0) act_message_unref(m);
    return error;
}

/** A call's cookie carries this bit, so that the late answer to a call that timed out is known. */
#define CALL_BIT (1ull << 63)
/** Answers to sends that a caller keeps while a call waits; more sends are refused. */
enum { CALLER_SENDS_MAX = 1024 };

struct vsr_caller {
    struct act_port *port;
    act_id service;
    uint64_t ticket;      /* of the last operation */
    uint32_t outstanding; /* sends without an answer received */
    uint32_t kept_head;
    uint32_t kept_count;
    struct act_message *kept[CALLER_SENDS_MAX]; /* a ring of answers that came during calls */
};

int vsr_caller_open(struct act_runtime *runtime, act_id service, struct vsr_caller **caller)
{
    struct vsr_caller *c = calloc(1, sizeof *c);
    if (c == NULL) return -ENOMEM;

    int error = act_port_open(runtime, &c->port);
    if (error != 0) {
        free(c);
        return error;
    }
    c->service = service;
    *caller = c;
    return 0;
}

void vsr_caller_close(struct vsr_caller *caller)
{
    for (uint32_t i = 0; i < caller->kept_count; i++)
        act_message_unref(caller->kept[(caller->kept_head + i) % CALLER_SENDS_MAX]);
    act_port_close(caller->port);
    free(caller);
}

/** Copies an answer out. Ownership: takes m. Returns the operation's status. */
static int read_answer(struct act_message *m, void *result, uint32_t *result_bytes)
{
    const struct vsr_answer *body = m->body;
    const int status = body->status;
    const uint32_t bytes = body->result_bytes < *result_bytes ? body->result_bytes : *result_bytes;

    if (bytes > 0) memcpy(result, body + 1, bytes);
    *result_bytes = body->result_bytes;
    act_message_unref(m);
    return status;
}

static uint64_t time_left(uint64_t start, uint64_t timeout_ns)
{
    uint64_t spent = act_now_ns() - start;
    return spent < timeout_ns ? timeout_ns - spent : 0;
}

/** The next answer on the port; what is no answer to this caller is ended. NULL: time is over. */
static struct act_message *next_answer(struct vsr_caller *caller, uint64_t start,
                                       uint64_t timeout_ns)
{
    for (;;) {
        struct act_message *m = act_port_receive(caller->port, time_left(start, timeout_ns));
        if (m == NULL) return NULL;
        if (m->type == VSR_TYPE_ANSWER && m->body_bytes >= sizeof(struct vsr_answer)) return m;
        act_message_unref(m);
    }
}

int vsr_caller_call(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    void *result, uint32_t *result_bytes, uint64_t timeout_ns)
{
    const uint64_t start = act_now_ns();
    const uint64_t cookie = ++caller->ticket | CALL_BIT;
    int error = vsr_service_send(caller->service, cookie, payload, payload_bytes);
    if (error != 0) return error;

    for (;;) {
        struct act_message *m = next_answer(caller, start, timeout_ns);
        if (m == NULL) return -ETIMEDOUT;
        const uint64_t answered = ((const struct vsr_answer *)m->body)->cookie;
        if (answered == cookie) return read_answer(m, result, result_bytes);
        if ((answered & CALL_BIT) != 0) {
            act_message_unref(m); /* of a call that timed out before */
            continue;
        }
        caller->kept[(caller->kept_head + caller->kept_count++) % CALLER_SENDS_MAX] = m;
    }
}

int vsr_caller_send(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    uint64_t *ticket)
{
    if (caller->outstanding == CALLER_SENDS_MAX) return -EAGAIN;
    int error = vsr_service_send(caller->service, caller->ticket + 1, payload, payload_bytes);
    if (error != 0) return error;
    *ticket = ++caller->ticket;
    caller->outstanding++;
    return 0;
}

int vsr_caller_receive(struct vsr_caller *caller, uint64_t *ticket, void *result,
                       uint32_t *result_bytes, uint64_t timeout_ns)
{
    const uint64_t start = act_now_ns();
    struct act_message *m;

    if (caller->kept_count > 0) {
        m = caller->kept[caller->kept_head];
        caller->kept_head = (caller->kept_head + 1) % CALLER_SENDS_MAX;
        caller->kept_count--;
    } else {
        do {
            m = next_answer(caller, start, timeout_ns);
            if (m == NULL) {
                *ticket = 0;
                return -ETIMEDOUT;
            }
            if ((((const struct vsr_answer *)m->body)->cookie & CALL_BIT) == 0) break;
            act_message_unref(m);
        } while (true);
    }
    *ticket = ((const struct vsr_answer *)m->body)->cookie;
    caller->outstanding--;
    return read_answer(m, result, result_bytes);
}
