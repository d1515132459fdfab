/**
 * See memory.h. The two counters are relaxed: they are statistics and a test's fuse.
 */
#include "memory.h"

#include "assert.h"
#include "cpu.h"

#include <sys/mman.h>

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#ifdef ACT_USE_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

static atomic_ulong fuse;
static atomic_size_t held;

void act_memory_fail_at(unsigned long nth)
{
    atomic_store_explicit(&fuse, nth, memory_order_relaxed);
}

size_t act_memory_held(void)
{
    return atomic_load_explicit(&held, memory_order_relaxed);
}

static int is_to_fail(void)
{
    if (atomic_load_explicit(&fuse, memory_order_relaxed) == 0) return 0;
    return atomic_fetch_sub_explicit(&fuse, 1, memory_order_relaxed) == 1;
}

static void *note(void *memory, size_t bytes)
{
    if (memory != NULL) atomic_fetch_add_explicit(&held, bytes, memory_order_relaxed);
    return memory;
}

static size_t rounded(size_t bytes)
{
    return (bytes + CPU_LINE_BYTES - 1) & ~(size_t)(CPU_LINE_BYTES - 1);
}

void *act_memory_take(size_t bytes)
{
    void *memory;

    if (is_to_fail()) return NULL;
    bytes = rounded(bytes > 0 ? bytes : 1);
#ifdef ACT_USE_JEMALLOC
    memory = mallocx(bytes, MALLOCX_ALIGN(CPU_LINE_BYTES) | MALLOCX_ZERO);
#else
    memory = aligned_alloc(CPU_LINE_BYTES, bytes);
    if (memory != NULL) memset(memory, 0, bytes);
#endif
    return note(memory, bytes);
}

void act_memory_give(void *memory, size_t bytes)
{
    if (memory == NULL) return;
    bytes = rounded(bytes > 0 ? bytes : 1);
    const size_t before = atomic_fetch_sub_explicit(&held, bytes, memory_order_relaxed);
    ACT_ASSERT(before >= bytes);
#ifdef ACT_USE_JEMALLOC
    sdallocx(memory, bytes, MALLOCX_ALIGN(CPU_LINE_BYTES));
#else
    free(memory);
#endif
}

void *act_memory_map(size_t bytes)
{
    ACT_ASSERT(bytes > 0);
    if (is_to_fail()) return NULL;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : note(memory, bytes);
}

void act_memory_unmap(void *memory, size_t bytes)
{
    if (memory == NULL) return;
    const size_t before = atomic_fetch_sub_explicit(&held, bytes, memory_order_relaxed);
    ACT_ASSERT(before >= bytes);
    const int error = munmap(memory, bytes);
    ACT_ASSERT(error == 0);
}
