/**
 * See pool.h. Nothing here is shared between threads.
 */
#include "pool.h"

#include "memory.h"

#include <errno.h>
#include <string.h>

/** The small classes start with one slab each. */
enum { CLASSES_AT_START = 4, STACK_MIN = 1024 };

static size_t message_bytes(uint32_t size_class)
{
    return (size_t)POOL_CLASS_BYTES << size_class;
}

static bool grow_stack(struct pool_class *c, uint32_t more)
{
    uint32_t capacity = c->capacity > 0 ? c->capacity : STACK_MIN;

    ACT_ASSERT(more > 0);
    ACT_ASSERT(c->free_count <= c->total);
    while (capacity < c->total + more)
        capacity *= 2;
    if (capacity == c->capacity) return true;
    struct message **stack = act_memory_take(capacity * sizeof(struct message *));
    if (stack == NULL) return false;
    if (c->free_count > 0) memcpy(stack, c->free, c->free_count * sizeof(struct message *));
    act_memory_give(c->free, c->capacity * sizeof(struct message *));
    c->free = stack;
    c->capacity = capacity;
    return true;
}

bool act_pool_grow(struct act_pool *pool, uint32_t size_class)
{
    struct pool_class *c = &pool->classes[size_class];
    ACT_ASSERT(size_class < POOL_CLASSES);
    const size_t each = message_bytes(size_class);
    const uint32_t count = each < POOL_SLAB_BYTES ? (uint32_t)(POOL_SLAB_BYTES / each) : 1;
    const size_t bytes = sizeof(struct pool_slab) + 48 + count * each; /* the header on a line */

    const uint64_t held = atomic_load_explicit(&pool->bytes, memory_order_relaxed);

    if (held + bytes > pool->bytes_max) return false;
    if (!grow_stack(c, count)) return false;
    uint8_t *memory = act_memory_take(bytes);
    if (memory == NULL) return false;

    struct pool_slab *slab = (struct pool_slab *)(void *)memory;
    *slab = (struct pool_slab){.next = pool->slabs, .bytes = bytes};
    pool->slabs = slab;
    atomic_store_explicit(&pool->bytes, held + bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->growths, 1, memory_order_relaxed);
    ACT_ASSERT(c->free_count + count <= c->capacity);
    for (uint32_t i = count; i > 0; i--) {
        struct message *m = (struct message *)(void *)(memory + 64 + (i - 1) * each);
        m->header.home = pool->home;
        m->header.size_class = (uint8_t)size_class;
        m->user.body = m->body;
        c->free[c->free_count++] = m;
    }
    c->total += count;
    ACT_ASSERT(c->total <= c->capacity);
    return true;
}

int act_pool_init(struct act_pool *pool, uint8_t home, uint64_t bytes_max)
{
    *pool = (struct act_pool){.home = home, .bytes_max = bytes_max};
    for (uint32_t i = 0; i < CLASSES_AT_START; i++) {
        if (!act_pool_grow(pool, i)) {
            act_pool_deinit(pool);
            return -ENOMEM;
        }
    }
    atomic_store_explicit(&pool->growths, 0, memory_order_relaxed);
    return 0;
}

void act_pool_deinit(struct act_pool *pool)
{
    while (pool->slabs != NULL) {
        struct pool_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        act_memory_give(slab, slab->bytes);
    }
    for (uint32_t i = 0; i < POOL_CLASSES; i++)
        act_memory_give(pool->classes[i].free,
                        pool->classes[i].capacity * sizeof(struct message *));
    *pool = (struct act_pool){0};
}
