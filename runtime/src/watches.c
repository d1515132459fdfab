/**
 * See watches.h: a hash table of kept messages, chained in buckets, and in lists by owner.
 */
#include "watches.h"

#include "memory.h"

enum { BUCKETS_MIN = 64 };

void act_watches_deinit(struct act_watches *watches)
{
    ACT_ASSERT(watches->count == 0); /* every actor has ended */
    act_memory_give(watches->buckets, watches->bucket_count * sizeof(struct act_message *));
    *watches = (struct act_watches){0};
}

/** Where the pair's chain begins. */
static struct act_message **bucket_of(const struct act_watches *watches, act_id owner, act_id other)
{
    uint64_t hash = (owner ^ (other << 32 | other >> 32)) * 0x9E3779B97F4A7C15ull;

    if (watches->bucket_count == 0) return (struct act_message **)(uintptr_t)&watches->first;
    hash ^= hash >> 32;
    return &watches->buckets[hash & (watches->bucket_count - 1)];
}

/** Puts what lies in a chain into the buckets that there are now. */
static void deal_out(struct act_watches *watches, struct act_message *chain)
{
    while (chain != NULL) {
        struct act_message *m = chain;
        chain = message_of(m)->header.next;
        struct act_message **bucket = bucket_of(watches, watch_of(m)->owner, watch_of(m)->other);
        message_of(m)->header.next = *bucket;
        *bucket = m;
    }
}

/** Twice as many buckets; without memory the chains get longer. */
static void grow(struct act_watches *watches)
{
    struct act_message **old = watches->buckets;
    const uint32_t old_count = watches->bucket_count;
    const uint32_t count = old_count > 0 ? old_count * 2 : BUCKETS_MIN;
    struct act_message **buckets = act_memory_take(count * sizeof(struct act_message *));

    if (buckets == NULL) return;
    watches->buckets = buckets;
    watches->bucket_count = count;
    deal_out(watches, watches->first);
    watches->first = NULL;
    for (uint32_t i = 0; i < old_count; i++)
        deal_out(watches, old[i]);
    act_memory_give(old, old_count * sizeof(struct act_message *));
}

void act_watches_add(struct act_watches *watches, struct act_actor *actor, act_id owner,
                     act_id other, struct act_message *m)
{
    struct watch *w = watch_of(m);

    ACT_ASSERT(owner != ACT_ID_NONE);
    if (watches->count >= watches->bucket_count && watches->count > 0) grow(watches);
    w->owner = owner;
    w->other = other;
    w->previous = NULL;
    w->next = actor->watches;
    if (w->next != NULL) watch_of(w->next)->previous = m;
    actor->watches = m;
    struct act_message **bucket = bucket_of(watches, owner, other);
    message_of(m)->header.next = *bucket;
    *bucket = m;
    watches->count++;
}

static bool is_it(const struct act_message *m, act_id owner, act_id other, uint32_t type)
{
    const struct watch *w = watch_of(m);
    return w->owner == owner && w->other == other && m->type == type;
}

bool act_watches_has(const struct act_watches *watches, act_id owner, act_id other, uint32_t type)
{
    const struct act_message *m = *bucket_of(watches, owner, other);

    while (m != NULL && !is_it(m, owner, other, type))
        m = message_of(m)->header.next;
    return m != NULL;
}

/** Takes a message out of both of its lists. */
static struct act_message *take_out(struct act_watches *watches, struct act_actor *actor,
                                    struct act_message **link)
{
    struct act_message *m = *link;
    const struct watch *w = watch_of(m);

    ACT_ASSERT(watches->count > 0);
    *link = message_of(m)->header.next;
    if (w->previous != NULL)
        watch_of(w->previous)->next = w->next;
    else
        actor->watches = w->next;
    if (w->next != NULL) watch_of(w->next)->previous = w->previous;
    watches->count--;
    return m;
}

struct act_message *act_watches_take(struct act_watches *watches, struct act_actor *actor,
                                     act_id owner, act_id other, uint32_t type)
{
    struct act_message **link = bucket_of(watches, owner, other);

    while (*link != NULL && !is_it(*link, owner, other, type))
        link = &message_of(*link)->header.next;
    return *link != NULL ? take_out(watches, actor, link) : NULL;
}

struct act_message *act_watches_take_any(struct act_watches *watches, struct act_actor *actor)
{
    struct act_message *m = actor->watches;

    if (m == NULL) return NULL;
    struct act_message **link = bucket_of(watches, watch_of(m)->owner, watch_of(m)->other);
    while (*link != m)
        link = &message_of(*link)->header.next;
    return take_out(watches, actor, link);
}
