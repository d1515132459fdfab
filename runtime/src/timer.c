/**
 * See act/timer.h and timer.h: timers of the running actor, on its worker's wheel.
 */
#include "timer.h"

#include "assert.h"
#include "delivery.h"
#include "wheel.h"

#include <time.h>

uint64_t act_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int act_timer_start(uint64_t delay_ns, uint32_t type, uint64_t cookie, act_timer *timer)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    ACT_ASSERT(e->wheel != NULL);   /* a worker's */
    ACT_ASSERT(e->running != NULL); /* only from a handler */
    uint64_t now_ns = act_now_ns();
    uint64_t due_ns = delay_ns < UINT64_MAX - now_ns ? now_ns + delay_ns : UINT64_MAX >> 1;
    const struct act_wheel_timer t = {.owner = e->self, .cookie = cookie, .type = type};
    /* A worker may have slept for days; going through their ticks would hold it up. */
    act_wheel_skip(e->wheel, now_ns);
    return act_wheel_start(e->wheel, due_ns, t, timer);
}

bool act_timer_cancel(act_timer timer)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    ACT_ASSERT(e->wheel != NULL);   /* a worker's */
    ACT_ASSERT(e->running != NULL); /* only from a handler */
    return act_wheel_cancel(e->wheel, timer);
}

void act_timer_fire(struct act_endpoint *e, uint64_t now_ns)
{
    struct act_wheel_timer timer;

    while (act_wheel_expire(e->wheel, now_ns, &timer)) {
        if (act_delivery_notify(e, timer.owner, timer.type, &timer.cookie, sizeof timer.cookie))
            continue;
        int error = act_wheel_start(e->wheel, now_ns, timer, NULL);
        ACT_ASSERT(error == 0); /* its node has just become free */
        return;
    }
}
