/**
 * See park.h.
 *
 * The lost wake-up: the publisher puts a message into a lane and sees is_parked == 0; the sleeper,
 * at the same time, stores is_parked = 1 and sees an empty lane, because neither store has left its
 * core. With a full fence between store and load on both sides at least one of them sees the other.
 *
 * The publisher's fence may be lent by the sleeper: membarrier returns when every other running
 * thread of the process has passed a full fence. Where that hits a publisher before its load, the
 * load sees is_parked; where after, the message was visible before membarrier returned, and the
 * sleeper, who looks at the lanes only then, sees it.
 */
#include "park.h"

#include "assert.h"

#include <linux/membarrier.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

static int membarrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

/** Whether the process may have its threads fenced. ThreadSanitizer would not see the fence. */
static bool has_membarrier(void)
{
#ifdef ACT_TSAN
    return false;
#else
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
#endif
}

int act_park_init(struct act_park *park, bool is_worker)
{
    int error;

    *park = (struct act_park){
        .is_fence_for_all = is_worker && has_membarrier(), .event_fd = -1, .epoll_fd = -1};
    park->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    park->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event interest = {.events = EPOLLIN};
    if (park->event_fd >= 0 && park->epoll_fd >= 0 &&
        epoll_ctl(park->epoll_fd, EPOLL_CTL_ADD, park->event_fd, &interest) == 0)
        return 0;
    error = errno != 0 ? -errno : -ENOMEM;
    act_park_deinit(park);
    return error;
}

void act_park_deinit(struct act_park *park)
{
    if (park->event_fd >= 0) close(park->event_fd);
    if (park->epoll_fd >= 0) close(park->epoll_fd);
    park->event_fd = park->epoll_fd = -1;
}

void act_park_announce(struct act_park *park)
{
    ACT_ASSERT(park->event_fd >= 0);
    atomic_store_explicit(&park->is_parked, 1, memory_order_relaxed); /* K2 */
    if (atomic_load_explicit(&park->is_fence_for_all, memory_order_relaxed)) {
        if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return;
        /* A publisher may be between its look at this flag and its look at is_parked, and has no
         * fence there: once, the lanes are looked at when its stores have left its core. */
        atomic_store_explicit(&park->is_fence_for_all, false, memory_order_relaxed);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    park_fence(park);
}

void act_park_cancel(struct act_park *park)
{
    uint64_t count;

    atomic_store_explicit(&park->is_parked, 0,
                          memory_order_relaxed); /* only its own thread waits */
    /* A wake-up that came meanwhile would only end the next sleep at once. */
    if (read(park->event_fd, &count, sizeof count) < 0) ACT_DCHECK(errno == EAGAIN);
}

static int sleep_by(const struct act_park *park, uint64_t timeout_ns)
{
    const struct timespec time = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                                  .tv_nsec = (long)(timeout_ns % 1000000000)};
    const struct timespec *timeout = timeout_ns != UINT64_MAX ? &time : NULL;
    const uint64_t ms = timeout_ns / 1000000 + 1;
    struct pollfd poll = {.fd = park->epoll_fd, .events = POLLIN};
    struct epoll_event event;

    switch (park->way) {
    case PARK_BY_EPOLL_PWAIT2:
        return (int)syscall(SYS_epoll_pwait2, park->epoll_fd, &event, 1, timeout, NULL, 0);
    case PARK_BY_PPOLL:
        return ppoll(&poll, 1, timeout, NULL);
    case PARK_BY_EPOLL_WAIT:
        break;
    }
    return epoll_wait(park->epoll_fd, &event, 1,
                      timeout == NULL ? -1
                      : ms < INT_MAX  ? (int)ms
                                      : INT_MAX);
}

void act_park_wait(struct act_park *park, uint64_t timeout_ns)
{
    ACT_ASSERT(park->epoll_fd >= 0);
    while (sleep_by(park, timeout_ns) < 0 && errno != EINTR) {
        if (park->way == PARK_BY_EPOLL_WAIT) {
            sched_yield(); /* No sleep at all is left: it looks again and again. */
            break;
        }
        park->way++;
    }
    act_park_cancel(park);
}

int act_park_watch(struct act_park *park, int fd)
{
    struct epoll_event interest = {.events = EPOLLIN};

    ACT_ASSERT(fd >= 0);
    ACT_ASSERT(fd != park->event_fd);
    return epoll_ctl(park->epoll_fd, EPOLL_CTL_ADD, fd, &interest) == 0 ? 0 : -errno;
}

bool act_park_wake(struct act_park *park)
{
    const uint64_t one = 1;

    /* Of several publishers one wakes; the others find the flag down. */
    if (atomic_exchange_explicit(&park->is_parked, 0, memory_order_relaxed) == 0) return false;
    if (write(park->event_fd, &one, sizeof one) < 0) ACT_ASSERT(errno == EAGAIN);
    return true;
}
