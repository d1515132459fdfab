/**
 * Callers: a thread's way to a service. See vsr/caller.h.
 */
#include <act/actor.h>
#include <act/message.h>
#include <vsr/caller.h>

#include "../core/assert.h"
#include "misuse.h"
#include "submit.h"

#include <act/port.h>
#include <act/timer.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** A call's cookie carries this bit, so that the late answer to a call that timed out is known. */
#define CALL_BIT (1ull << 63)

/** A send whose answer was not received: its cookie is {count, place in the array}. */
struct outstanding {
    uint64_t cookie; /* 0 = free */
    uint64_t ticket;
    bool is_answered; /* the answer is kept */
};

struct vsr_caller {
    struct act_port *port;
    act_id self;
    act_id service;
    bool is_down;    /* the service has ended */
    int lost;        /* the status of what it has left without an answer */
    uint64_t count;  /* of operations */
    uint64_t ticket; /* of the last send */
    struct outstanding sends[VSR_CALLER_SENDS_MAX];
    uint32_t free[VSR_CALLER_SENDS_MAX]; /* a stack of places */
    uint32_t free_count;
    uint32_t kept_head;
    uint32_t kept_count;
    struct act_message *kept[VSR_CALLER_SENDS_MAX]; /* a ring of answers that came during calls */
};

static void require_own_thread(const struct vsr_caller *caller, const char *function)
{
    if (caller == NULL || act_self() != caller->self)
        vsr_node_misuse(function, "a caller belongs to the thread that opened it");
}

int vsr_caller_open(struct act_runtime *runtime, act_id service, struct vsr_caller **caller)
{
    if (act_on_worker()) return -EDEADLK;
    if (runtime == NULL || caller == NULL) return -EINVAL;

    struct vsr_caller *c = calloc(1, sizeof *c);
    if (c == NULL) return -ENOMEM;
    int error = act_port_open(runtime, &c->port);
    if (error != 0) goto undo;
    error = act_monitor(service);
    if (error != 0) goto undo_port;
    c->self = act_port_id(c->port);
    VSR_ASSERT(c->self == act_self());
    c->service = service;
    for (uint32_t i = 0; i < VSR_CALLER_SENDS_MAX; i++)
        c->free[c->free_count++] = VSR_CALLER_SENDS_MAX - 1 - i;
    VSR_ASSERT(c->free_count == VSR_CALLER_SENDS_MAX);
    *caller = c;
    return 0;

undo_port:
    act_port_close(c->port);
undo:
    free(c);
    return error;
}

void vsr_caller_close(struct vsr_caller *caller)
{
    require_own_thread(caller, __func__);
    VSR_ASSERT(caller->kept_count <= VSR_CALLER_SENDS_MAX);
    for (uint32_t i = 0; i < caller->kept_count; i++)
        act_message_unref(caller->kept[(caller->kept_head + i) % VSR_CALLER_SENDS_MAX]);
    act_port_close(caller->port);
    free(caller);
}

static uint64_t cookie_of(const struct act_message *answer)
{
    return ((const struct vsr_answer *)answer->body)->cookie;
}

/** Copies an answer out. Ownership: takes m. Returns the operation's status. */
static int read_answer(struct act_message *m, void *result, uint32_t *result_bytes)
{
    const struct vsr_answer *body = m->body;

    VSR_ASSERT(m->type == VSR_TYPE_ANSWER);
    VSR_ASSERT(m->body_bytes >= sizeof *body);
    const int status = body->status;

    if (result_bytes != NULL) {
        const uint32_t room = result != NULL ? *result_bytes : 0;
        const uint32_t bytes = body->result_bytes < room ? body->result_bytes : room;
        if (bytes > 0) memcpy(result, body + 1, bytes);
        *result_bytes = body->result_bytes;
    }
    act_message_unref(m);
    return status;
}

static int no_result(int status, uint32_t *result_bytes)
{
    if (result_bytes != NULL) *result_bytes = 0;
    return status;
}

static uint64_t time_left(uint64_t start, uint64_t timeout_ns)
{
    if (timeout_ns == UINT64_MAX) return UINT64_MAX;
    uint64_t spent = act_now_ns() - start;
    return spent < timeout_ns ? timeout_ns - spent : 0;
}

/** The next answer on the port. NULL: time is over, or the service has ended. */
static struct act_message *next_answer(struct vsr_caller *caller, uint64_t start,
                                       uint64_t timeout_ns)
{
    for (;;) {
        /* After its end nothing comes but what is there. */
        const uint64_t wait_ns = caller->is_down ? 0 : time_left(start, timeout_ns);
        struct act_message *m = act_port_receive(caller->port, wait_ns);
        if (m == NULL) return NULL;
        if (m->type == VSR_TYPE_ANSWER && m->body_bytes >= sizeof(struct vsr_answer)) return m;
        if (m->type == ACT_TYPE_DOWN && m->body_bytes == sizeof(struct act_down)) {
            struct act_down down;
            memcpy(&down, m->body, sizeof down);
            if (down.actor == caller->service) {
                caller->is_down = true;
                /* Gone before the first operation was sent: it has taken none. */
                caller->lost = down.reason == ACT_REASON_GONE ? -ECANCELED : -ECONNRESET;
            }
        }
        act_message_unref(m);
    }
}

/** Puts an answer to a send aside, if it is one. Ownership: takes m. */
static void keep(struct vsr_caller *caller, struct act_message *m)
{
    const uint64_t cookie = cookie_of(m);
    struct outstanding *send = &caller->sends[cookie % VSR_CALLER_SENDS_MAX];

    /* Of a call that timed out before, or of what this thread has sent past its caller. */
    if ((cookie & CALL_BIT) != 0 || cookie == 0 || send->cookie != cookie || send->is_answered) {
        act_message_unref(m);
        return;
    }
    VSR_ASSERT(caller->kept_count < VSR_CALLER_SENDS_MAX);
    send->is_answered = true;
    caller->kept[(caller->kept_head + caller->kept_count++) % VSR_CALLER_SENDS_MAX] = m;
}

int vsr_caller_call(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    void *result, uint32_t *result_bytes, uint64_t timeout_ns)
{
    const uint64_t start = act_now_ns();

    require_own_thread(caller, __func__);
    const struct vsr_node_submit submit = {
        .cookie = ++caller->count | CALL_BIT,
        .deadline_ns = timeout_ns < UINT64_MAX - start ? start + timeout_ns : 0,
        .payload_bytes = payload_bytes,
    };
    if (caller->is_down) return no_result(-ECANCELED, result_bytes);
    int error = vsr_node_service_submit(caller->service, &submit, payload);
    if (error != 0) return no_result(error, result_bytes);

    for (;;) {
        struct act_message *m = next_answer(caller, start, timeout_ns);
        if (m == NULL) return no_result(caller->is_down ? caller->lost : -ETIMEDOUT, result_bytes);
        if (cookie_of(m) == submit.cookie) return read_answer(m, result, result_bytes);
        keep(caller, m);
    }
}

int vsr_caller_send(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    uint64_t *ticket)
{
    require_own_thread(caller, __func__);
    if (ticket == NULL) return -EINVAL;
    if (caller->free_count == 0) return -EAGAIN;
    if (caller->is_down) return -ECANCELED;

    const uint32_t place = caller->free[caller->free_count - 1];
    VSR_ASSERT(place < VSR_CALLER_SENDS_MAX);
    VSR_ASSERT(caller->sends[place].cookie == 0);
    const struct vsr_node_submit submit = {
        .cookie = (caller->count + 1) * VSR_CALLER_SENDS_MAX + place,
        .payload_bytes = payload_bytes,
    };
    int error = vsr_node_service_submit(caller->service, &submit, payload);
    if (error != 0) return error;
    caller->count++;
    caller->free_count--;
    *ticket = ++caller->ticket;
    caller->sends[place] = (struct outstanding){.cookie = submit.cookie, .ticket = *ticket};
    return 0;
}

/** Ends a send. Returns its ticket. */
static uint64_t settle(struct vsr_caller *caller, uint32_t place)
{
    VSR_ASSERT(place < VSR_CALLER_SENDS_MAX);
    VSR_ASSERT(caller->free_count < VSR_CALLER_SENDS_MAX);
    const uint64_t ticket = caller->sends[place].ticket;

    caller->sends[place] = (struct outstanding){0};
    caller->free[caller->free_count++] = place;
    return ticket;
}

/** The oldest send that the service has left without an answer. */
static uint32_t oldest_send(const struct vsr_caller *caller)
{
    uint32_t oldest = UINT32_MAX;

    for (uint32_t i = 0; i < VSR_CALLER_SENDS_MAX; i++)
        if (caller->sends[i].cookie != 0 &&
            (oldest == UINT32_MAX || caller->sends[i].ticket < caller->sends[oldest].ticket))
            oldest = i;
    VSR_ASSERT(oldest != UINT32_MAX); /* one is out, or there is nothing to wait for */
    return oldest;
}

int vsr_caller_receive(struct vsr_caller *caller, uint64_t *ticket, void *result,
                       uint32_t *result_bytes, uint64_t timeout_ns)
{
    const uint64_t start = act_now_ns();

    require_own_thread(caller, __func__);
    NODE_REQUIRE(ticket != NULL, "ticket is NULL");
    *ticket = 0;
    if (caller->free_count == VSR_CALLER_SENDS_MAX) return no_result(-ENOENT, result_bytes);
    while (caller->kept_count == 0) {
        struct act_message *m = next_answer(caller, start, timeout_ns);
        if (m == NULL && !caller->is_down) return no_result(-ETIMEDOUT, result_bytes);
        if (m == NULL) {
            *ticket = settle(caller, oldest_send(caller));
            return no_result(caller->lost, result_bytes);
        }
        keep(caller, m);
    }
    struct act_message *m = caller->kept[caller->kept_head];
    caller->kept_head = (caller->kept_head + 1) % VSR_CALLER_SENDS_MAX;
    caller->kept_count--;
    *ticket = settle(caller, (uint32_t)(cookie_of(m) % VSR_CALLER_SENDS_MAX));
    return read_answer(m, result, result_bytes);
}
