/**
 * See registry.h.
 *
 * Ordering
 *   R1 spawn: store of a slot's word (release)  ->  R2 send: load of it (acquire)
 *      carries the actor's struct to its home; R1 is in actor.c, R2 in registry.h and worker.c.
 *   R3 a reader's last use of a word, then its quiescent state (liburcu)  ->  R4 the callback of
 *      call_rcu: the slot is given out again. Told to ThreadSanitizer by the tags below.
 *   R5 the mutex orders chunks of slots between endpoints.
 */
#include "registry.h"

#include "assert.h"
#include "memory.h"
#include "thread.h"
#include "tsan.h"

#ifndef ACT_TSAN
#define _LGPL_SOURCE
#endif
#include <urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

struct slot_chunk {
    struct rcu_head rcu;
    struct slot_chunk *next;
    struct act_registry *registry;
    uint32_t count;
    uint32_t slots[SLOT_CHUNK];
};

struct name_node {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    struct act_registry *registry;
    act_id id;
    char name[ACT_NAME_MAX + 1];
};

enum { NAME_BUCKETS = 1024 };

struct act_registry {
    struct act_registry_view view;
    struct cds_lfht *names;
    pthread_mutex_t mutex; /* R5, guards what follows */
    struct slot_chunk *free_chunks;
    struct slot_chunk *empty_chunks; /* without slots: memory to reuse */
    uint32_t used;
    uint32_t callbacks; /* asked for and not done; rcu_barrier would do, but it looks like a race */
    pthread_cond_t callback_done;
};

/** Stands for all QSBR edges. */
static char grace_tag;

struct act_registry_view act_registry_view(const struct act_registry *registry)
{
    return registry->view;
}

/** liburcu's thread for callbacks has the signals and the CPUs of whoever needs it first: not of a
 * pinned worker. */
static void start_callback_thread(void)
{
    sigset_t before;

    act_thread_block(&before);
    get_default_call_rcu_data();
    act_thread_unblock(&before);
}

struct act_registry *act_registry_create(uint32_t actors_max)
{
    struct act_registry *r = act_memory_take(sizeof *r);

    ACT_ASSERT(actors_max > 0);
    ACT_ASSERT(actors_max <= SLOT_MASK + 1);
    if (r == NULL) return NULL;
    start_callback_thread();
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->callback_done, NULL);
    r->view.actors_max = actors_max;
    r->view.words = act_memory_map(actors_max * sizeof *r->view.words);
    r->view.actors = act_memory_map(actors_max * sizeof *r->view.actors);
    r->names = cds_lfht_new(NAME_BUCKETS, NAME_BUCKETS, NAME_BUCKETS, 0, NULL);
    if (r->view.words == NULL || r->view.actors == NULL || r->names == NULL) {
        act_registry_destroy(r);
        return NULL;
    }
    return r;
}

static void destroy_chunks(struct slot_chunk *chunk)
{
    while (chunk != NULL) {
        struct slot_chunk *next = chunk->next;
        act_memory_give(chunk, sizeof *chunk);
        chunk = next;
    }
}

/** Asks for a callback after a grace period. */
static void defer(struct act_registry *r, struct rcu_head *head, void (*call)(struct rcu_head *))
{
    pthread_mutex_lock(&r->mutex);
    r->callbacks++;
    pthread_mutex_unlock(&r->mutex);
    TSAN_RELEASE(&grace_tag); /* what is behind head, for the callback's thread */
    call_rcu(head, call);
}

/** Ends a callback. The caller has the mutex, and touches nothing of r afterwards. */
static void finish_callback(struct act_registry *r)
{
    ACT_ASSERT(r->callbacks > 0);
    if (--r->callbacks == 0) pthread_cond_signal(&r->callback_done);
    pthread_mutex_unlock(&r->mutex);
}

static void wait_for_callbacks(struct act_registry *r)
{
    pthread_mutex_lock(&r->mutex);
    while (r->callbacks > 0)
        pthread_cond_wait(&r->callback_done, &r->mutex);
    pthread_mutex_unlock(&r->mutex);
}

static void free_name(struct rcu_head *head)
{
    TSAN_ACQUIRE(&grace_tag); /* R4; before the first look at the node */
    struct name_node *node = caa_container_of(head, struct name_node, rcu);
    struct act_registry *r = node->registry;

    act_memory_give(node, sizeof *node);
    pthread_mutex_lock(&r->mutex);
    finish_callback(r);
}

static void remove_names(struct act_registry *r)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *at;

    rcu_register_thread();
    rcu_read_lock();
    cds_lfht_for_each(r->names, &iter, at)
    {
        struct name_node *node = caa_container_of(at, struct name_node, node);
        if (cds_lfht_del(r->names, at) == 0) defer(r, &node->rcu, free_name);
    }
    rcu_read_unlock();
    rcu_unregister_thread();
}

void act_registry_destroy(struct act_registry *r)
{
    if (r->names != NULL) {
        remove_names(r);
        wait_for_callbacks(r);
        const int error = cds_lfht_destroy(r->names, NULL);
        ACT_ASSERT(error == 0); /* It was empty. */
    }
    destroy_chunks(r->free_chunks);
    destroy_chunks(r->empty_chunks);
    pthread_cond_destroy(&r->callback_done);
    pthread_mutex_destroy(&r->mutex);
    act_memory_unmap(r->view.words, r->view.actors_max * sizeof *r->view.words);
    act_memory_unmap(r->view.actors, r->view.actors_max * sizeof *r->view.actors);
    act_memory_give(r, sizeof *r);
}

void act_registry_register_thread(void)
{
    rcu_register_thread();
}

void act_registry_unregister_thread(void)
{
    TSAN_RELEASE(&grace_tag);
    rcu_unregister_thread();
}

void act_registry_online(void)
{
    rcu_thread_online();
}

void act_registry_offline(void)
{
    TSAN_RELEASE(&grace_tag); /* R3 */
    rcu_thread_offline();
}

void act_registry_quiescent(void)
{
    TSAN_RELEASE(&grace_tag); /* R3 */
    rcu_quiescent_state();
}

/* Slots. */

static struct slot_chunk *pop(struct slot_chunk **list)
{
    struct slot_chunk *chunk = *list;
    if (chunk != NULL) *list = chunk->next;
    return chunk;
}

static void push(struct slot_chunk **list, struct slot_chunk *chunk)
{
    chunk->next = *list;
    *list = chunk;
}

/** A chunk without slots. */
static struct slot_chunk *take_empty_chunk(struct act_registry *r)
{
    pthread_mutex_lock(&r->mutex);
    struct slot_chunk *chunk = pop(&r->empty_chunks);
    pthread_mutex_unlock(&r->mutex);
    if (chunk == NULL) chunk = act_memory_take(sizeof *chunk);
    if (chunk == NULL) return NULL;
    chunk->registry = r;
    chunk->count = 0;
    return chunk;
}

/** Fills an endpoint's cache: with slots that were in use before, else with new ones. */
static int refill(struct act_registry *r, struct slot_cache *cache)
{
    pthread_mutex_lock(&r->mutex);
    struct slot_chunk *chunk = pop(&r->free_chunks);
    if (chunk != NULL) {
        if (cache->free != NULL) push(&r->empty_chunks, cache->free);
        cache->free = chunk;
        pthread_mutex_unlock(&r->mutex);
        return 0;
    }
    uint32_t first = r->used;
    ACT_ASSERT(first <= r->view.actors_max);
    uint32_t count =
        r->view.actors_max - first < SLOT_CHUNK ? r->view.actors_max - first : SLOT_CHUNK;
    r->used += count;
    pthread_mutex_unlock(&r->mutex);
    if (count == 0) return -EAGAIN;

    if (cache->free == NULL) cache->free = take_empty_chunk(r);
    if (cache->free == NULL) {
        pthread_mutex_lock(&r->mutex);
        if (r->used == first + count) r->used = first;
        pthread_mutex_unlock(&r->mutex);
        return -ENOMEM;
    }
    ACT_ASSERT(cache->free->count == 0);
    for (uint32_t i = count; i > 0; i--)
        cache->free->slots[cache->free->count++] = first + i - 1;
    return 0;
}

static void give_chunk(struct rcu_head *head)
{
    TSAN_ACQUIRE(&grace_tag); /* R4; before the first look at the chunk */
    struct slot_chunk *chunk = caa_container_of(head, struct slot_chunk, rcu);
    struct act_registry *r = chunk->registry;

    pthread_mutex_lock(&r->mutex);
    ACT_ASSERT(chunk->count > 0);
    push(&r->free_chunks, chunk);
    finish_callback(r);
}

static void retire_chunk(struct slot_cache *cache)
{
    struct slot_chunk *chunk = cache->retired;

    ACT_ASSERT(chunk->count > 0);
    ACT_ASSERT(chunk->count <= SLOT_CHUNK);
    cache->retired = NULL;
    defer(chunk->registry, &chunk->rcu, give_chunk);
}

int act_registry_take_slot(struct act_registry *registry, struct slot_cache *cache, uint32_t *slot)
{
    if (cache->free == NULL || cache->free->count == 0) {
        int error = refill(registry, cache);
        /* Those that died lately come back after a grace period, if it is asked for. */
        if (error != 0 && cache->retired != NULL) retire_chunk(cache);
        if (error != 0) return error;
    }
    *slot = cache->free->slots[--cache->free->count];
    ACT_DCHECK(*slot < registry->view.actors_max);
    return 0;
}

void act_registry_untake_slot(struct slot_cache *cache, uint32_t slot)
{
    ACT_ASSERT(cache->free != NULL);
    ACT_ASSERT(cache->free->count < SLOT_CHUNK);
    cache->free->slots[cache->free->count++] = slot;
}

void act_registry_retire_slot(struct act_registry *registry, struct slot_cache *cache,
                              uint32_t slot)
{
    if (cache->retired == NULL) cache->retired = take_empty_chunk(registry);
    if (cache->retired == NULL) return; /* No memory: the slot is not used again. */
    ACT_DCHECK(cache->retired->count < SLOT_CHUNK);
    cache->retired->slots[cache->retired->count++] = slot;
    if (cache->retired->count == SLOT_CHUNK) retire_chunk(cache);
}

void act_registry_drop_cache(struct act_registry *registry, struct slot_cache *cache)
{
    if (cache->retired != NULL) retire_chunk(cache);
    if (cache->free == NULL) return;
    pthread_mutex_lock(&registry->mutex);
    push(cache->free->count > 0 ? &registry->free_chunks : &registry->empty_chunks, cache->free);
    pthread_mutex_unlock(&registry->mutex);
    cache->free = NULL;
}

uint32_t act_registry_slots_used(const struct act_registry *registry)
{
    struct act_registry *r = (struct act_registry *)(uintptr_t)registry;

    pthread_mutex_lock(&r->mutex);
    uint32_t used = r->used;
    pthread_mutex_unlock(&r->mutex);
    return used;
}

/* Names. */

/** FNV-1a (Fowler, Noll, Vo 1991). */
static unsigned long hash_name(const char *name)
{
    unsigned long hash = 14695981039346656037ul;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211ul;
    return hash;
}

static int matches(struct cds_lfht_node *at, const void *key)
{
    return strcmp(caa_container_of(at, struct name_node, node)->name, key) == 0;
}

int act_registry_bind(struct act_registry *registry, const char *name, act_id id)
{
    struct name_node *node = act_memory_take(sizeof *node);

    ACT_ASSERT(id != ACT_ID_NONE);
    ACT_ASSERT(strlen(name) <= ACT_NAME_MAX);
    if (node == NULL) return -ENOMEM;
    cds_lfht_node_init(&node->node);
    node->id = id;
    node->registry = registry;
    memcpy(node->name, name, strlen(name) + 1);
    TSAN_RELEASE(&grace_tag);
    rcu_read_lock();
    TSAN_IGNORE_BEGIN();
    struct cds_lfht_node *held =
        cds_lfht_add_unique(registry->names, hash_name(name), matches, name, &node->node);
    TSAN_IGNORE_END();
    rcu_read_unlock();
    if (held == &node->node) return 0;
    act_memory_give(node, sizeof *node);
    return -EEXIST;
}

void act_registry_unbind(struct act_registry *registry, act_id id)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *at;

    rcu_read_lock();
    TSAN_IGNORE_BEGIN();
    cds_lfht_for_each(registry->names, &iter, at)
    {
        struct name_node *node = caa_container_of(at, struct name_node, node);
        if (node->id != id) continue;
        if (cds_lfht_del(registry->names, at) == 0) defer(registry, &node->rcu, free_name);
        break;
    }
    TSAN_IGNORE_END();
    rcu_read_unlock();
}

act_id act_registry_find(struct act_registry *registry, const char *name)
{
    struct cds_lfht_iter iter;
    act_id id = ACT_ID_NONE;

    rcu_read_lock();
    TSAN_IGNORE_BEGIN();
    cds_lfht_lookup(registry->names, hash_name(name), matches, name, &iter);
    struct cds_lfht_node *at = cds_lfht_iter_get_node(&iter);
    if (at != NULL) id = caa_container_of(at, struct name_node, node)->id;
    TSAN_IGNORE_END();
    rcu_read_unlock();
    TSAN_ACQUIRE(&grace_tag);
    return id;
}
