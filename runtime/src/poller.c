/**
 * See poller.h.
 *
 * A worker's descriptors have an epoll of their own, made when the first one is registered, inside
 * of the one that the worker sleeps in: sleeping then takes no event away, and who never polls pays
 * for nothing. Registrations lie in a table; those of one actor are found by its slot, through
 * chains, when it ends.
 */
#include "poller.h"

#include "assert.h"
#include "delivery.h"
#include "memory.h"

#include <sys/epoll.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    NODES_MIN = 16,
    EVENTS_PER_LOOK = 64,
    /* That epoll may name; others belong to what a descriptor cannot be asked for here. */
    EVENTS_ASKED = ACT_POLL_IN | ACT_POLL_OUT,
};

struct poll_node {
    act_id owner; /* ACT_ID_NONE: free */
    uint64_t cookie;
    uint32_t type;
    int fd;
    uint32_t generation;
    uint32_t next;     /* index + 1 in its owner's chain or the free list; 0 = end */
    uint32_t previous; /* index + 1; 0 = first */
};

struct act_poller {
    int epoll_fd;
    uint32_t capacity; /* of both arrays, a power of two */
    uint32_t count;
    uint32_t free; /* index + 1 */
    struct poll_node *nodes;
    uint32_t *chains; /* by the owner's slot: first node, index + 1 */
};

static uint32_t *chain_of(struct act_poller *poller, act_id owner)
{
    return &poller->chains[id_slot(owner) & (poller->capacity - 1)];
}

static void link_node(struct act_poller *poller, uint32_t index)
{
    struct poll_node *node = &poller->nodes[index];
    uint32_t *chain = chain_of(poller, node->owner);

    ACT_ASSERT(index < poller->capacity);
    ACT_ASSERT(node->owner != ACT_ID_NONE);
    node->previous = 0;
    node->next = *chain;
    if (*chain != 0) poller->nodes[*chain - 1].previous = index + 1;
    *chain = index + 1;
}

static bool grow(struct act_poller *poller)
{
    const uint32_t old = poller->capacity;
    const uint32_t capacity = old > 0 ? old * 2 : NODES_MIN;
    struct poll_node *nodes = act_memory_take(capacity * sizeof *nodes);
    uint32_t *chains = act_memory_take(capacity * sizeof *chains);

    ACT_ASSERT(poller->free == 0);
    ACT_ASSERT(poller->count == old); /* all are in use */
    if (nodes == NULL || chains == NULL) {
        act_memory_give(nodes, capacity * sizeof *nodes);
        act_memory_give(chains, capacity * sizeof *chains);
        return false;
    }
    if (old > 0) memcpy(nodes, poller->nodes, old * sizeof *nodes);
    act_memory_give(poller->nodes, old * sizeof *nodes);
    act_memory_give(poller->chains, old * sizeof *chains);
    poller->nodes = nodes;
    poller->chains = chains;
    poller->capacity = capacity;
    for (uint32_t i = 0; i < old; i++)
        link_node(poller, i); /* it grows when none is free */
    for (uint32_t i = capacity; i > old; i--) {
        nodes[i - 1].generation = 1;
        nodes[i - 1].next = poller->free;
        poller->free = i;
    }
    return true;
}

/** The worker's poller, made when there is none. Returns 0 or a negative errno. */
static int make_poller(struct act_endpoint *e)
{
    struct act_poller *poller;
    int error;

    ACT_ASSERT(e->is_worker);
    if (e->poller != NULL) return 0;
    poller = act_memory_take(sizeof *poller);
    if (poller == NULL) return -ENOMEM;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    error = poller->epoll_fd < 0 ? -errno : act_park_watch(&e->park, poller->epoll_fd);
    if (error != 0) {
        if (poller->epoll_fd >= 0) close(poller->epoll_fd);
        act_memory_give(poller, sizeof *poller);
        return error;
    }
    e->poller = poller;
    return 0;
}

static act_poll name_of(const struct act_poller *poller, uint32_t index)
{
    return (act_poll)poller->nodes[index].generation << 32 | (index + 1);
}

/** The running actor's registration of that name, or NULL. */
static struct poll_node *find(const struct act_endpoint *e, act_poll name)
{
    const uint32_t index = (uint32_t)name - 1;
    struct poll_node *node;

    ACT_ASSERT(e != NULL && e->is_worker && e->running != NULL); /* only from a handler */
    if (e->poller == NULL || name == 0 || index >= e->poller->capacity) return NULL;
    node = &e->poller->nodes[index];
    return node->owner == e->self && node->generation == (uint32_t)(name >> 32) ? node : NULL;
}

/** One message: then it is silent until it is asked again. */
static int ask(const struct act_poller *poller, int operation, uint32_t index, uint32_t events)
{
    struct epoll_event interest = {.events = EPOLLONESHOT | EPOLLRDHUP,
                                   .data.u64 = name_of(poller, index)};

    if ((events & ACT_POLL_IN) != 0) interest.events |= EPOLLIN;
    if ((events & ACT_POLL_OUT) != 0) interest.events |= EPOLLOUT;
    return epoll_ctl(poller->epoll_fd, operation, poller->nodes[index].fd, &interest) == 0 ? 0
                                                                                           : -errno;
}

static bool are_askable(uint32_t events)
{
    return events != 0 && (events & ~(uint32_t)EVENTS_ASKED) == 0;
}

int act_poll_start(const struct act_poll_options *options, act_poll *poll)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL && e->is_worker && e->running != NULL); /* only from a handler */
    if (!are_askable(options->events) || options->type >= ACT_TYPE_SYSTEM) return -EINVAL;
    int error = make_poller(e);
    if (error != 0) return error;
    struct act_poller *poller = e->poller;
    if (poller->free == 0 && !grow(poller)) return -ENOMEM;

    const uint32_t index = poller->free - 1;
    ACT_ASSERT(index < poller->capacity);
    struct poll_node *node = &poller->nodes[index];
    ACT_ASSERT(node->owner == ACT_ID_NONE);
    node->fd = options->fd;
    error = ask(poller, EPOLL_CTL_ADD, index, options->events);
    if (error != 0) return error;
    poller->free = node->next;
    poller->count++;
    node->owner = e->self;
    node->type = options->type;
    node->cookie = options->cookie;
    link_node(poller, index);
    e->running->flags |= ACTOR_HAS_POLLS;
    if (poll != NULL) *poll = name_of(poller, index);
    return 0;
}

int act_poll_again(act_poll poll, uint32_t events)
{
    struct act_endpoint *e = act_endpoint_current();
    struct poll_node *node = find(e, poll);

    if (!are_askable(events)) return -EINVAL;
    if (node == NULL) return -ENOENT;
    return ask(e->poller, EPOLL_CTL_MOD, (uint32_t)(node - e->poller->nodes), events);
}

static void end_node(struct act_poller *poller, struct poll_node *node)
{
    ACT_ASSERT(node->owner != ACT_ID_NONE);
    ACT_ASSERT(poller->count > 0);
    /* It fails when the descriptor has been closed, which has ended it as well. */
    (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, node->fd, NULL);
    if (node->previous != 0)
        poller->nodes[node->previous - 1].next = node->next;
    else
        *chain_of(poller, node->owner) = node->next;
    if (node->next != 0) poller->nodes[node->next - 1].previous = node->previous;
    node->owner = ACT_ID_NONE;
    node->generation++;
    node->next = poller->free;
    poller->free = (uint32_t)(node - poller->nodes) + 1;
    poller->count--;
}

bool act_poll_stop(act_poll poll)
{
    struct act_endpoint *e = act_endpoint_current();
    struct poll_node *node = find(e, poll);

    if (node == NULL) return false;
    end_node(e->poller, node);
    return true;
}

void act_poller_drop(struct act_endpoint *e, act_id owner)
{
    struct act_poller *poller = e->poller;

    ACT_ASSERT(poller != NULL);
    for (uint32_t at = *chain_of(poller, owner); at != 0;) {
        struct poll_node *node = &poller->nodes[at - 1];
        at = node->next;
        if (node->owner == owner) end_node(poller, node);
    }
}

/** What epoll says, in the words of act/poll.h. */
static uint32_t events_of(uint32_t said)
{
    uint32_t events = 0;

    if ((said & EPOLLIN) != 0) events |= ACT_POLL_IN;
    if ((said & EPOLLOUT) != 0) events |= ACT_POLL_OUT;
    if ((said & (EPOLLHUP | EPOLLRDHUP)) != 0) events |= ACT_POLL_HANGUP;
    if ((said & EPOLLERR) != 0) events |= ACT_POLL_ERROR;
    return events;
}

/** Sends one readiness; out of messages, it is asked for again. */
static void tell(struct act_endpoint *e, const struct epoll_event *event)
{
    const uint32_t index = (uint32_t)event->data.u64 - 1;
    const struct poll_node *node = &e->poller->nodes[index];

    ACT_ASSERT(index < e->poller->capacity);
    /* Ended by a handler since epoll_wait: nobody waits for it. */
    if (name_of(e->poller, index) != event->data.u64 || node->owner == ACT_ID_NONE) return;
    const struct act_readiness ready = {.poll = event->data.u64,
                                        .cookie = node->cookie,
                                        .fd = node->fd,
                                        .events = events_of(event->events)};
    if (act_delivery_notify(e, node->owner, node->type, &ready, sizeof ready)) return;
    (void)ask(e->poller, EPOLL_CTL_MOD, index, ready.events & EVENTS_ASKED);
}

void act_poller_fire(struct act_endpoint *e)
{
    struct epoll_event events[EVENTS_PER_LOOK];

    ACT_ASSERT(e->poller != NULL);
    if (e->poller->count == 0) return;
    const int count = epoll_wait(e->poller->epoll_fd, events, EVENTS_PER_LOOK, 0);
    ACT_ASSERT(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++)
        tell(e, &events[i]);
}

void act_poller_destroy(struct act_endpoint *e)
{
    struct act_poller *poller = e->poller;

    if (poller == NULL) return;
    ACT_ASSERT(poller->count == 0); /* every actor has ended */
    close(poller->epoll_fd);
    act_memory_give(poller->nodes, poller->capacity * sizeof *poller->nodes);
    act_memory_give(poller->chains, poller->capacity * sizeof *poller->chains);
    act_memory_give(poller, sizeof *poller);
    e->poller = NULL;
}

uint32_t act_poller_count(const struct act_endpoint *e)
{
    return e->poller != NULL ? e->poller->count : 0;
}
