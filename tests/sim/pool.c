/**
 * See pool.h.
 */
#include "pool.h"

#include "assert.h"
#include "checksum.h"

#include <vsr/message.h>

#include <stdlib.h>
#include <string.h>

enum { POISON = 0xA5, POISON_BYTES = 1024 };

struct pool_memory {
    struct pool_memory *next; /* free */
    uint64_t sum;             /* of the sealed message */
    long refs;
    uint32_t class;
    bool is_sealed;
};

_Static_assert(sizeof(struct pool_memory) % 8 == 0, "a message follows");

static uint32_t class_of(size_t bytes)
{
    uint32_t class = 0;
    while (((size_t)1 << (POOL_CLASS_SHIFT + class)) < bytes)
        class ++;
    return class;
}

/** The message lies behind the bookkeeping, 8-byte aligned. */
static struct vsr_header *message_of(struct pool_memory *m)
{
    return (struct vsr_header *)(void *)(m + 1);
}

struct vsr_buffer pool_take(struct pool *pool, uint32_t bytes)
{
    const uint32_t class = class_of(bytes);

    VSR_ASSERT(class < POOL_CLASSES);
    struct pool_memory *m = pool->free[class];
    if (m != NULL)
        pool->free[class] = m->next;
    else
        m = malloc(sizeof *m + ((size_t)1 << (POOL_CLASS_SHIFT + class)));
    VSR_ASSERT(m != NULL);
    *m = (struct pool_memory){.refs = 1, .class = class};
    /* The runtime's pool does not clear either. */
    memset(message_of(m), POISON, bytes < POISON_BYTES ? bytes : POISON_BYTES);
    pool->live++;
    return (struct vsr_buffer){.header = message_of(m), .handle = m};
}

struct vsr_buffer pool_copy(struct pool *pool, struct vsr_buffer buffer)
{
    struct vsr_buffer copy = pool_take(pool, buffer.header->bytes);

    memcpy(copy.header, buffer.header, buffer.header->bytes);
    return copy;
}

static bool take(void *context, uint32_t bytes, struct vsr_buffer *out)
{
    struct pool_source *source = context;

    if (random_ppm(&source->random, source->famine_ppm)) {
        source->refusals++;
        return false;
    }
    *out = pool_take(source->pool, bytes);
    return true;
}

static void *ref(void *context, void *handle)
{
    struct pool_source *source = context;
    struct pool_memory *m = handle;

    VSR_ASSERT(m->refs > 0);
    if (random_ppm(&source->random, source->famine_ppm)) {
        source->refusals++;
        return NULL;
    }
    m->refs++;
    return handle;
}

struct vsr_buffer pool_ref(struct vsr_buffer buffer)
{
    struct pool_memory *m = buffer.handle;

    VSR_ASSERT(m->refs > 0);
    m->refs++;
    return buffer;
}

void pool_unref(struct pool *pool, struct vsr_buffer buffer)
{
    struct pool_memory *m = buffer.handle;

    VSR_ASSERT(m->refs > 0);
    if (--m->refs > 0) return;
    pool->live--;
#ifdef __SANITIZE_ADDRESS__
    free(m); /* so that a use after the last unref is found */
#else
    m->next = pool->free[m->class];
    pool->free[m->class] = m;
#endif
}

static void unref(void *context, void *handle)
{
    struct pool_source *source = context;
    pool_unref(source->pool, (struct vsr_buffer){.handle = handle});
}

struct vsr_buffers pool_buffers(struct pool_source *source)
{
    return (struct vsr_buffers){.context = source, .take = take, .ref = ref, .unref = unref};
}

static uint64_t sum_of(const struct pool_memory *m)
{
    const struct vsr_header *header = (const struct vsr_header *)(const void *)(m + 1);
    return vsr_checksum_of(1, header, header->bytes);
}

void pool_seal(struct vsr_buffer buffer)
{
    struct pool_memory *m = buffer.handle;

    if (m->is_sealed) return;
    m->is_sealed = true;
    m->sum = sum_of(m);
}

bool pool_is_intact(struct vsr_buffer buffer)
{
    const struct pool_memory *m = buffer.handle;
    return !m->is_sealed || m->sum == sum_of(m);
}

void pool_deinit(struct pool *pool)
{
    for (uint32_t class = 0; class < POOL_CLASSES; class ++)
        while (pool->free[class] != NULL) {
            struct pool_memory *m = pool->free[class];
            pool->free[class] = m->next;
            free(m);
        }
}
