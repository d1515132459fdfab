/**
 * Ports: endpoints of threads that are not workers.
 */
#include "port.h"

#include "actor.h"
#include "assert.h"
#include "call.h"
#include "delivery.h"
#include "fabric.h"
#include "memory.h"
#include "message.h"
#include "timer.h"

#include <errno.h>
#include <sched.h>

/** A closed port that was open before, or a new one. Called under the mutex. */
static int take_port(struct act_runtime *rt, struct act_port **out)
{
    for (uint32_t i = 0; i < rt->options.ports_max; i++) {
        struct act_port *port = rt->ports[i];
        const uint32_t index = rt->options.workers + i;
        if (port != NULL && port->is_open) continue;
        if (port == NULL) {
            port = act_memory_take(sizeof *port);
            if (port == NULL) return -ENOMEM;
            int error = act_endpoint_init(&port->endpoint, rt, index, rt->endpoint_count,
                                          rt->options.pool_bytes_max);
            if (error != 0) {
                act_endpoint_deinit(&port->endpoint, rt->endpoint_count);
                act_memory_give(port, sizeof *port);
                return error;
            }
            rt->ports[i] = port;
            rt->endpoints[index] = &port->endpoint;
        }
        int error = act_endpoint_connect(rt, index);
        if (error != 0) return error;
        *out = port;
        return 0;
    }
    return -EAGAIN;
}

int act_port_open(struct act_runtime *runtime, struct act_port **port)
{
    struct act_actor actor = {.flags = ACTOR_IS_PORT, .limit = runtime->options.mailbox_max};
    struct act_port *p = NULL;
    uint32_t slot;

    if (act_endpoint_current() != NULL) return -EBUSY;
    pthread_mutex_lock(&runtime->mutex);
    int error = take_port(runtime, &p);
    if (error == 0) error = act_registry_take_slot(runtime->registry, p->endpoint.index, &slot);
    if (error == 0 && pthread_setspecific(runtime->port_key, p) != 0) {
        act_registry_give_slot(runtime->registry, p->endpoint.index, slot);
        error = -ENOMEM;
    }
    if (error == 0) {
        p->is_open = true;
        /* Relaxed: the mutex orders it. */
        atomic_store_explicit(&p->endpoint.is_closed, false, memory_order_relaxed);
    }
    pthread_mutex_unlock(&runtime->mutex);
    if (error != 0) return error;

    ACT_ASSERT(p->endpoint.unsent.head == NULL); /* The last owner has sent all. */
    ACT_ASSERT(!p->is_armed);
    act_endpoint_set_current(&p->endpoint);
    p->id = act_actor_publish(&p->endpoint, slot, p->endpoint.index, &actor);
    p->actor = &p->endpoint.registry.actors[slot];
    p->endpoint.self = p->id;
    *port = p;
    return 0;
}

act_id act_port_id(const struct act_port *port)
{
    return port->id;
}

int act_port_fd(const struct act_port *port)
{
    return port->endpoint.park.epoll_fd;
}

/** What a worker's loop does between turns. */
static void look(struct act_port *port)
{
    struct act_endpoint *e = &port->endpoint;

    act_delivery_drain(e);
    act_delivery_retry(e);
    act_endpoint_return(e);
    act_endpoint_collect(e);
}

static struct act_message *take_message(struct act_port *port)
{
    struct act_actor *actor = port->actor;

    while (actor->head != NULL) {
        struct act_message *m = actor_pop(actor);
        if ((actor->flags & ACTOR_IS_FULL) != 0) act_delivery_relieve(&port->endpoint, actor);
        act_delivery_count_out(&port->endpoint, m);
        if ((message_of(m)->header.flags & MESSAGE_IS_ANSWER) != 0) {
            act_delivery_bury(&port->endpoint, m); /* its call has given up */
            continue;
        }
        if ((message_of(m)->header.flags & MESSAGE_IS_SYSTEM) == 0 ||
            act_actor_on_system(&port->endpoint, actor, m)) {
            count(&port->endpoint.counters.delivered);
            return m;
        }
        ACT_ASSERT((actor->flags & ACTOR_IS_STOPPING) == 0); /* act_stop refuses ports */
    }
    return NULL;
}

/** The answer to a call, from among what waits; each message is looked at once. */
static struct act_message *take_answer(struct act_port *port, uint64_t call)
{
    struct act_actor *actor = port->actor;

    for (; *port->unseen != NULL; port->unseen = &message_of(*port->unseen)->header.next) {
        struct act_message *m = *port->unseen;
        if ((message_of(m)->header.flags & MESSAGE_IS_ANSWER) == 0) continue;
        if (*message_call(m) != call) continue;
        *port->unseen = message_of(m)->header.next;
        if (*port->unseen == NULL) actor->end = port->unseen;
        actor->count--;
        if ((actor->flags & ACTOR_IS_FULL) != 0) act_delivery_relieve(&port->endpoint, actor);
        message_of(m)->header.flags &= (uint16_t)~MESSAGE_IS_ANSWER;
        count(&port->endpoint.counters.delivered);
        return m;
    }
    return NULL;
}

static void disarm(struct act_port *port)
{
    if (!port->is_armed) return;
    act_park_cancel(&port->endpoint.park);
    port->is_armed = false;
}

/** Waits for the answer to a call, or, when call is 0, for the next message. */
static struct act_message *await(struct act_port *port, uint64_t timeout_ns, uint64_t call)
{
    struct act_endpoint *e = &port->endpoint;
    const uint64_t start = timeout_ns != 0 && timeout_ns != UINT64_MAX ? act_now_ns() : 0;

    disarm(port);
    for (;;) {
        look(port);
        struct act_message *m = call != 0 ? take_answer(port, call) : take_message(port);
        if (m != NULL) return m;

        uint64_t left = UINT64_MAX;
        if (timeout_ns != UINT64_MAX) {
            uint64_t spent = timeout_ns != 0 ? act_now_ns() - start : 0;
            left = spent < timeout_ns ? timeout_ns - spent : 0;
        }
        act_park_announce(&e->park); /* K2 */
        if (act_endpoint_has_input(e)) {
            act_park_cancel(&e->park);
            continue;
        }
        if (left == 0) {
            port->is_armed = true; /* for act_port_fd */
            return NULL;
        }
        count(&e->counters.parks);
        /* Nobody wakes us when a full lane has room again for what we could not send. */
        bool is_waiting = e->unsent.head != NULL;
        act_park_wait(&e->park, is_waiting && left > 1000000 ? 1000000 : left);
    }
}

struct act_message *act_port_receive(struct act_port *port, uint64_t timeout_ns)
{
    ACT_ASSERT(act_endpoint_current() == &port->endpoint); /* the port belongs to its thread */
    return await(port, timeout_ns, 0);
}

int act_port_call(struct act_port *port, act_id to, struct act_message *m, uint64_t timeout_ns,
                  struct act_message **answer)
{
    if (port == NULL || answer == NULL || to == port->id) return -EINVAL;
    if (act_endpoint_current() != &port->endpoint) return -EPERM;
    const uint64_t call = ++port->calls;
    int error = act_call_send(&port->endpoint, to, m, call);
    if (error != 0) return error;
    port->unseen = &port->actor->head;
    struct act_message *it = await(port, timeout_ns, call);
    port->unseen = NULL;
    if (it == NULL) return -ETIMEDOUT;
    if (it->type == ACT_TYPE_DOWN) {
        act_message_unref(it);
        return -EHOSTDOWN;
    }
    *answer = it;
    return 0;
}

void act_port_close(struct act_port *port)
{
    struct act_endpoint *e = &port->endpoint;
    struct act_runtime *rt = e->runtime;

    ACT_ASSERT(act_endpoint_current() == e); /* the port belongs to its thread */
    disarm(port);
    look(port);
    ACT_ASSERT(port->is_open);
    act_actor_end(e, port->actor, 0);
    act_delivery_close(e);
    for (;;) { /* DOWN messages; workers make room */
        act_delivery_retry(e);
        act_endpoint_return(e);
        act_endpoint_collect(e);
        if (e->unsent.head == NULL) break;
        sched_yield();
    }
    act_endpoint_set_current(NULL);
    pthread_setspecific(rt->port_key, NULL);
    pthread_mutex_lock(&rt->mutex);
    port->is_open = false;
    pthread_mutex_unlock(&rt->mutex);
}

void act_port_on_thread_end(void *port)
{
    act_port_close(port);
}
