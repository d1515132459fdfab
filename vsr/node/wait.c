/**
 * Events and waits. See wait.h.
 */
#include "wait.h"

#include "../core/assert.h"

#include <act/actor.h>
#include <act/timer.h>

#include <stdio.h>
#include <time.h>

struct vsr_node_wait vsr_node_wait_begin(const char *what, uint32_t replica)
{
    const uint64_t now_ns = act_now_ns();

    VSR_ASSERT(what != NULL);
    return (struct vsr_node_wait){
        .what = what, .replica = replica, .start_ns = now_ns, .said_ns = now_ns};
}

bool vsr_node_wait_look(struct vsr_node_wait *wait)
{
    const uint64_t now_ns = act_now_ns();

    VSR_ASSERT(wait->said_ns >= wait->start_ns); /* begun */
    VSR_ASSERT(now_ns >= wait->said_ns);
    if (now_ns - wait->said_ns >= NODE_WAIT_SAY_NS) {
        wait->said_ns = now_ns;
        fprintf(stderr, "vsr: has waited for %s for %llu s (replica %u)\n", wait->what,
                (unsigned long long)((now_ns - wait->start_ns) / 1000000000u), wait->replica);
    }
    return now_ns - wait->start_ns < NODE_WAIT_NS;
}

bool vsr_node_wait_pause(struct vsr_node_wait *wait)
{
    const struct timespec pause = {.tv_nsec = 100000};

    VSR_ASSERT(!act_on_worker());
    nanosleep(&pause, NULL);
    return vsr_node_wait_look(wait);
}

void vsr_node_event_init(struct vsr_node_event *event)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    const int error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    VSR_ASSERT(error == 0); /* what event_wait_for counts on */
    pthread_mutex_init(&event->mutex, NULL);
    pthread_cond_init(&event->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    event->is_set = false;
}

void vsr_node_event_set(struct vsr_node_event *event)
{
    pthread_mutex_lock(&event->mutex);
    VSR_ASSERT(!event->is_set); /* for good, and so once */
    event->is_set = true;
    pthread_cond_signal(&event->changed);
    pthread_mutex_unlock(&event->mutex);
}

void vsr_node_event_wait(struct vsr_node_event *event)
{
    VSR_ASSERT(!act_on_worker());
    pthread_mutex_lock(&event->mutex);
    while (!event->is_set)
        pthread_cond_wait(&event->changed, &event->mutex);
    pthread_mutex_unlock(&event->mutex);
}

bool vsr_node_event_wait_for(struct vsr_node_event *event, uint64_t timeout_ns)
{
    struct timespec end;

    VSR_ASSERT(!act_on_worker());
    clock_gettime(CLOCK_MONOTONIC, &end);
    VSR_ASSERT(timeout_ns <= UINT64_MAX - 1000000000u);
    const uint64_t ns = (uint64_t)end.tv_nsec + timeout_ns;
    end.tv_sec += (time_t)(ns / 1000000000u);
    end.tv_nsec = (long)(ns % 1000000000u);
    pthread_mutex_lock(&event->mutex);
    while (!event->is_set && pthread_cond_timedwait(&event->changed, &event->mutex, &end) == 0) {
        /* Woken for nothing. */
    }
    const bool is_set = event->is_set;
    pthread_mutex_unlock(&event->mutex);
    return is_set;
}

void vsr_node_event_deinit(struct vsr_node_event *event)
{
    pthread_cond_destroy(&event->changed);
    pthread_mutex_destroy(&event->mutex);
}
