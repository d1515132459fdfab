/**
 * See names.h.
 */
#include "names.h"

#include "assert.h"
#include "cpu.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

enum { SHARDS = 16, BUCKETS_MIN = 16 };

struct name_node {
    struct name_node *next; /* in its bucket */
    uint64_t hash;
    act_id id;
    char name[ACT_NAME_MAX + 1];
};

struct shard {
    alignas(CPU_LINE_BYTES) pthread_mutex_t mutex; /* guards the rest */
    struct name_node **buckets;
    uint32_t bucket_count; /* 0, or a power of two */
    uint32_t count;
    uint64_t looks;
};

struct act_names {
    struct name_node **by_slot; /* [slots]; as the actor's struct, its home's after the spawn */
    uint32_t slots;
    struct shard shards[SHARDS];
};

struct act_names *act_names_create(uint32_t slots)
{
    struct act_names *names = act_memory_take(sizeof *names);

    ACT_ASSERT(slots > 0);
    if (names == NULL) return NULL;
    names->slots = slots;
    names->by_slot = act_memory_map(slots * sizeof(struct name_node *));
    if (names->by_slot == NULL) {
        act_memory_give(names, sizeof *names);
        return NULL;
    }
    for (uint32_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&names->shards[i].mutex, NULL);
    return names;
}

void act_names_destroy(struct act_names *names)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &names->shards[i];
        for (uint32_t b = 0; b < shard->bucket_count; b++) {
            while (shard->buckets[b] != NULL) {
                struct name_node *node = shard->buckets[b];
                shard->buckets[b] = node->next;
                act_memory_give(node, sizeof *node);
            }
        }
        act_memory_give(shard->buckets, shard->bucket_count * sizeof(struct name_node *));
        pthread_mutex_destroy(&shard->mutex);
    }
    act_memory_unmap(names->by_slot, names->slots * sizeof(struct name_node *));
    act_memory_give(names, sizeof *names);
}

/** FNV-1a (Fowler, Noll, Vo 1991). */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash;
}

static struct shard *shard_of(struct act_names *names, uint64_t hash)
{
    return &names->shards[hash >> 32 & (SHARDS - 1)];
}

static struct name_node **bucket_of(const struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

/** The node of that name in a shard, or NULL. */
static struct name_node *find_node(struct shard *shard, uint64_t hash, const char *name)
{
    if (shard->bucket_count == 0) return NULL;
    struct name_node *node = *bucket_of(shard, hash);
    for (; node != NULL && (node->hash != hash || strcmp(node->name, name) != 0); shard->looks++)
        node = node->next;
    return node;
}

/** Makes room for one more. Returns false when there is no table and no memory for one. */
static bool grow(struct shard *shard)
{
    struct shard larger = {.bucket_count = BUCKETS_MIN};

    if (shard->count < shard->bucket_count) return true;
    if (shard->bucket_count > 0) larger.bucket_count = shard->bucket_count * 2;
    larger.buckets = act_memory_take(larger.bucket_count * sizeof(struct name_node *));
    if (larger.buckets == NULL) return shard->bucket_count > 0; /* Longer chains work as well. */
    for (uint32_t b = 0; b < shard->bucket_count; b++) {
        while (shard->buckets[b] != NULL) {
            struct name_node *node = shard->buckets[b];
            shard->buckets[b] = node->next;
            node->next = *bucket_of(&larger, node->hash);
            *bucket_of(&larger, node->hash) = node;
        }
    }
    act_memory_give(shard->buckets, shard->bucket_count * sizeof(struct name_node *));
    shard->buckets = larger.buckets;
    shard->bucket_count = larger.bucket_count;
    return true;
}

/** Puts a node into its shard, whose mutex the caller has. Returns 0, -EEXIST, -ENOMEM. */
static int insert(struct shard *shard, struct name_node *node)
{
    if (find_node(shard, node->hash, node->name) != NULL) return -EEXIST;
    if (!grow(shard)) return -ENOMEM;
    node->next = *bucket_of(shard, node->hash);
    *bucket_of(shard, node->hash) = node;
    shard->count++;
    return 0;
}

int act_names_bind(struct act_names *names, const char *name, act_id id, uint32_t slot)
{
    struct name_node *node = act_memory_take(sizeof *node);

    ACT_ASSERT(id != ACT_ID_NONE);
    ACT_ASSERT(slot < names->slots);
    ACT_ASSERT(strlen(name) <= ACT_NAME_MAX);
    if (node == NULL) return -ENOMEM;
    node->id = id;
    node->hash = hash_name(name);
    memcpy(node->name, name, strlen(name) + 1);

    struct shard *shard = shard_of(names, node->hash);
    pthread_mutex_lock(&shard->mutex);
    const int error = insert(shard, node);
    pthread_mutex_unlock(&shard->mutex);
    if (error == 0)
        names->by_slot[slot] = node;
    else
        act_memory_give(node, sizeof *node);
    return error;
}

void act_names_unbind(struct act_names *names, uint32_t slot)
{
    ACT_ASSERT(slot < names->slots);
    struct name_node *node = names->by_slot[slot];

    ACT_ASSERT(node != NULL);
    names->by_slot[slot] = NULL;
    struct shard *shard = shard_of(names, node->hash);
    pthread_mutex_lock(&shard->mutex);
    struct name_node **link = bucket_of(shard, node->hash);
    for (; *link != node; shard->looks++)
        link = &(*link)->next;
    *link = node->next;
    shard->count--;
    pthread_mutex_unlock(&shard->mutex);
    act_memory_give(node, sizeof *node);
}

act_id act_names_find(struct act_names *names, const char *name)
{
    const uint64_t hash = hash_name(name);
    struct shard *shard = shard_of(names, hash);

    pthread_mutex_lock(&shard->mutex);
    const struct name_node *node = find_node(shard, hash, name);
    const act_id id = node != NULL ? node->id : ACT_ID_NONE;
    pthread_mutex_unlock(&shard->mutex);
    return id;
}

uint64_t act_names_looks(struct act_names *names)
{
    uint64_t looks = 0;

    for (uint32_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&names->shards[i].mutex);
        looks += names->shards[i].looks;
        pthread_mutex_unlock(&names->shards[i].mutex);
    }
    return looks;
}
