/**
 * See act/timer.h and timer.h: timers of the running actor, on its worker's schedule.
 */
#include "timer.h"

#include "assert.h"
#include "call.h"
#include "delivery.h"
#include "schedule.h"

#include <act/message.h>

#include <errno.h>
#include <string.h>

enum {
    FIRED_PER_LOOK = 1024, /* so that the lanes are looked at, too */
    RETRY_NS = 1000000,    /* until a timer that found no message is tried again */
};

#define PERIOD_NS_MAX (1ull << 62)

/** Starts a timer of the running actor. */
static int start(uint64_t due_ns, const struct belonging *timer, act_timer *name)
{
    struct act_endpoint *e = act_endpoint_current();
    uint32_t index;

    ACT_ASSERT(e->schedule != NULL); /* a worker's */
    if (timer->type >= ACT_TYPE_SYSTEM) return -EINVAL;
    if (act_belongings_take(&e->belongings, e->self, &index) != 0) return -ENOMEM;
    struct belonging *it = belonging_at(&e->belongings, index);
    it->type = timer->type;
    it->cookie = timer->cookie;
    it->period_ns = timer->period_ns;
    if (act_schedule_add(e->schedule, index, due_ns) != 0) {
        act_belongings_give(&e->belongings, index);
        return -ENOMEM;
    }
    e->running->flags |= ACTOR_HAS_BELONGINGS;
    if (name != NULL) *name = act_belongings_name(&e->belongings, index);
    return 0;
}

/** The calling worker; the program's error where there is none. */
static struct act_endpoint *handler_endpoint(void)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    ACT_ASSERT(e->is_worker && e->running != NULL); /* only from a handler */
    return e;
}

/** The end of a delay; the last moment that there is stands for what lies beyond. */
static uint64_t due_after(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns < SCHEDULE_NEVER - 1 - now_ns ? now_ns + delay_ns : SCHEDULE_NEVER - 1;
}

int act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie, act_timer *timer)
{
    const struct belonging once = {.type = type, .cookie = cookie};

    (void)handler_endpoint();
    return start(due_after(act_now_ns(), delay_ns), &once, timer);
}

int act_timer_start_periodic(uint64_t period_ns, uint32_t type, uint64_t cookie, act_timer *timer)
{
    const struct belonging periodic = {.type = type, .cookie = cookie, .period_ns = period_ns};

    (void)handler_endpoint();
    if (period_ns == 0 || period_ns > PERIOD_NS_MAX) return -EINVAL;
    return start(due_after(act_now_ns(), period_ns), &periodic, timer);
}

static void end_timer(struct act_endpoint *e, uint32_t index)
{
    if (belonging_at(&e->belongings, index)->place != SCHEDULE_NOWHERE) /* a call may have none */
        act_schedule_remove(e->schedule, index);
    act_belongings_give(&e->belongings, index);
}

int act_timer_cancel(act_timer timer)
{
    struct act_endpoint *e = handler_endpoint();
    uint32_t index;

    if (!act_belongings_find(&e->belongings, e->self, timer, &index)) return -ENOENT;
    if (call_is_at(belonging_at(&e->belongings, index))) return -ENOENT;
    end_timer(e, index);
    return 0;
}

/** Fires a timer that is due once. Returns false when there is no message for it. */
static bool fire_once(struct act_endpoint *e, uint32_t index)
{
    const struct belonging *it = belonging_at(&e->belongings, index);

    if (call_is_at(it)) return act_call_expire(e, index);
    if (!act_delivery_notify(e, it->owner, it->type, &it->cookie, sizeof it->cookie)) return false;
    end_timer(e, index);
    return true;
}

/** Sends a periodic timer's message. Returns false when there is none for it. */
static bool send_tick(struct act_endpoint *e, const struct belonging *it, act_timer name)
{
    const struct act_tick tick = {.cookie = it->cookie, .timer = name, .periods = it->periods};
    struct act_message *m = act_message_create(it->type, sizeof tick);

    if (m == NULL) return false;
    memcpy(m->body, &tick, sizeof tick);
    m->from = it->owner;
    message_of(m)->header.flags |= MESSAGE_IS_TICK;
    act_delivery_send_system(e, it->owner, m);
    return true;
}

/** Fires a periodic timer, or notes that it would have while its last message waits. */
static bool fire_periodic(struct act_endpoint *e, uint32_t index, uint64_t now_ns)
{
    struct belonging *it = belonging_at(&e->belongings, index);
    const uint64_t due_ns = e->schedule->next_ns;
    const uint64_t periods = (now_ns - due_ns) / it->period_ns + 1;

    ACT_ASSERT(due_ns <= now_ns);
    it->periods += periods;
    act_schedule_move(e->schedule, index, due_after(due_ns, periods * it->period_ns));
    if (it->is_on_its_way) return true;
    if (!send_tick(e, it, act_belongings_name(&e->belongings, index))) return false;
    it->is_on_its_way = true;
    it->periods = 0;
    return true;
}

void act_timer_fire(struct act_endpoint *e, uint64_t now_ns)
{
    struct act_schedule *s = e->schedule;

    for (uint32_t fired = 0; fired < FIRED_PER_LOOK && s->next_ns <= now_ns; fired++) {
        const uint32_t index = act_schedule_first(s);
        const bool is_periodic = belonging_at(&e->belongings, index)->period_ns > 0;
        if (is_periodic ? fire_periodic(e, index, now_ns) : fire_once(e, index)) continue;
        /* A periodic one tells of this period at the end of the next. */
        if (!is_periodic) act_schedule_move(s, index, due_after(now_ns, RETRY_NS));
    }
}

void act_timer_on_tick(struct act_endpoint *e, struct act_message *m)
{
    struct act_tick tick;
    uint32_t index;

    ACT_ASSERT(m->body_bytes == sizeof tick);
    memcpy(&tick, m->body, sizeof tick);
    message_of(m)->header.flags &= (uint16_t)~MESSAGE_IS_TICK;
    if (act_belongings_find(&e->belongings, m->from, tick.timer, &index))
        belonging_at(&e->belongings, index)->is_on_its_way = false;
}

void act_timer_drop(struct act_endpoint *e, act_id owner)
{
    uint32_t first;

    ACT_ASSERT(e->schedule != NULL);
    while ((first = act_belongings_first(&e->belongings, owner)) != 0)
        end_timer(e, first - 1);
}
