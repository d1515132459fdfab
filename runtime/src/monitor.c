/**
 * Monitors and links (act/actor.h): who is told of whose end.
 *
 * A monitor is a request that the watched one's home keeps, and a note at the watcher's. A link is
 * such a request at either side. What arrives for a pair that has no note any more is old, and
 * means nothing.
 */
#include "monitor.h"

#include "assert.h"
#include "delivery.h"

#include <act/message.h>

#include <errno.h>

/** One of the runtime's own messages, big enough for what it may become. */
static struct act_message *make(struct act_endpoint *e, uint32_t type)
{
    struct act_message *m = act_message_create(type, sizeof(struct watch));

    if (m == NULL) return NULL;
    *watch_of(m) = (struct watch){0};
    message_of(m)->header.flags |= MESSAGE_IS_SYSTEM;
    m->from = e->self;
    return m;
}

/** The actor or port that calls. */
static struct act_actor *self(const struct act_endpoint *e)
{
    ACT_ASSERT(e->self != ACT_ID_NONE);
    return &e->registry.actors[id_slot(e->self)];
}

/** Sends `other` a request, and keeps a note. */
static int watch(struct act_endpoint *e, act_id other, uint32_t request_type, uint32_t note_type)
{
    struct act_message *request = make(e, request_type);
    struct act_message *note = make(e, note_type);
    int error = -ENOMEM;

    if (request != NULL && note != NULL) error = act_delivery_request(e, other, request);
    if (error != 0) {
        if (request != NULL) act_message_unref(request);
        if (note != NULL) act_message_unref(note);
        return error;
    }
    act_watches_add(&e->watches, self(e), e->self, other, note);
    return 0;
}

int act_monitor(act_id target)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL); /* the thread is no worker and has no port */
    return watch(e, target, SYSTEM_MONITOR, SYSTEM_DEMONITOR);
}

int act_demonitor(act_id target)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL); /* the thread is no worker and has no port */
    struct act_actor *actor = self(e);
    struct act_message *m = act_watches_take(&e->watches, actor, e->self, target, SYSTEM_DEMONITOR);
    if (m == NULL) return -ENOENT;
    int error = act_delivery_request(e, target, m);
    if (error != 0) {
        act_watches_add(&e->watches, actor, e->self, target, m);
        return error;
    }
    while ((m = act_watches_take(&e->watches, actor, e->self, target, SYSTEM_DEMONITOR)) != NULL)
        act_message_unref(m);
    return 0;
}

int act_link(act_id other)
{
    struct act_endpoint *e = act_endpoint_current();

    if (e == NULL || e->running == NULL) return -EPERM;
    if (other == e->self) return -EINVAL;
    if (act_watches_has(&e->watches, e->self, other, SYSTEM_LINK)) return 0;
    return watch(e, other, SYSTEM_LINK, SYSTEM_LINK);
}

int act_trap_exits(bool is_trapping)
{
    struct act_endpoint *e = act_endpoint_current();

    if (e == NULL || e->running == NULL) return -EPERM;
    if (is_trapping)
        e->running->flags |= ACTOR_TRAPS_EXITS;
    else
        e->running->flags &= (uint16_t)~ACTOR_TRAPS_EXITS;
    return 0;
}

/** Gives a DOWN or an EXIT to the one whom it is for. */
static bool tell(struct act_endpoint *e, struct act_message *m, uint32_t type)
{
    message_of(m)->header.flags &= (uint16_t)~MESSAGE_IS_SYSTEM;
    m->type = type;
    m->body_bytes = sizeof(struct act_down); /* the watch begins with it */
    count(&e->counters.sent);
    return true;
}

static bool on_down(struct act_endpoint *e, struct act_actor *actor, struct act_message *m)
{
    struct act_message *note = act_watches_take(&e->watches, actor, actor_id(e, actor),
                                                watch_of(m)->down.actor, SYSTEM_DEMONITOR);
    if (note == NULL) { /* called off meanwhile */
        act_message_unref(m);
        return false;
    }
    act_message_unref(note);
    return tell(e, m, ACT_TYPE_DOWN);
}

static bool on_exit_of(struct act_endpoint *e, struct act_actor *actor, struct act_message *m)
{
    const int reason = watch_of(m)->down.reason;
    struct act_message *note = act_watches_take(&e->watches, actor, actor_id(e, actor),
                                                watch_of(m)->down.actor, SYSTEM_LINK);
    if (note != NULL) {
        act_message_unref(note);
        if ((actor->flags & (ACTOR_TRAPS_EXITS | ACTOR_IS_PORT)) != 0)
            return tell(e, m, ACT_TYPE_EXIT);
        if (reason != 0) {
            e->stop_reason = reason;
            actor->flags |= ACTOR_IS_STOPPING;
        }
    }
    act_message_unref(m);
    return false;
}

bool act_monitor_on_system(struct act_endpoint *e, struct act_actor *actor, struct act_message *m)
{
    const act_id id = actor_id(e, actor);
    struct act_message *it;

    ACT_ASSERT((message_of(m)->header.flags & MESSAGE_IS_SYSTEM) != 0);
    if (m->type == SYSTEM_DOWN) return on_down(e, actor, m);
    if (m->type == SYSTEM_EXIT) return on_exit_of(e, actor, m);
    if (m->type == SYSTEM_DEMONITOR) {
        while ((it = act_watches_take(&e->watches, actor, id, m->from, SYSTEM_MONITOR)) != NULL)
            act_message_unref(it);
        act_message_unref(m);
    } else if (m->type == SYSTEM_LINK && act_watches_has(&e->watches, id, m->from, SYSTEM_LINK)) {
        act_message_unref(m); /* both have asked */
    } else {
        ACT_ASSERT(m->type == SYSTEM_LINK || m->type == SYSTEM_MONITOR);
        act_watches_add(&e->watches, actor, id, m->from, m);
    }
    return false;
}

void act_monitor_end(struct act_endpoint *e, struct act_actor *actor, act_id id, int reason)
{
    struct act_message *m;

    ACT_ASSERT(actor->head == NULL); /* The mailbox may hold more requests to watch it. */
    while ((m = act_watches_take_any(&e->watches, actor)) != NULL) {
        const act_id other = watch_of(m)->other;
        if (m->type == SYSTEM_DEMONITOR)
            m->from = id;
        else
            act_delivery_make_down(m, id, reason);
        act_delivery_send_system(e, other, m);
    }
}
