/**
 * The life cycle of a runtime.
 */
#include "assert.h"
#include "delivery.h"
#include "fabric.h"
#include "item.h"
#include "lane.h"
#include "memory.h"
#include "names.h"
#include "port.h"
#include "worker.h"

#include <act/message.h>
#include <act/runtime.h>
#include <act/thread.h>

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define POOL_BYTES_MIN (1ull << 20)

void act_runtime_options_init(struct act_runtime_options *options)
{
    *options = (struct act_runtime_options){
        .ports_max = 8,
        .actors_max = 1 << 20,
        .mailbox_max = 4096, /* a full mailbox of small messages fits into a second-level cache */
        .spin_us = 50,
        .turn_max = 256,
        .pool_bytes_max = 4ull << 30,
    };
}

static int refuse(struct act_error *why, const char *format, ...)
{
    va_list arguments;

    if (why == NULL) return -EINVAL;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/** CPUs that the process may use. */
static cpu_set_t allowed_cpus(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
    return set;
}

static int check_cpus(const struct act_runtime_options *o, struct act_error *why)
{
    const cpu_set_t allowed = allowed_cpus();

    if (!o->pin) return 0;
    if (o->cpus == NULL) {
        if (o->workers > (uint32_t)CPU_COUNT(&allowed))
            return refuse(
                why,
                "pin: %u workers, but the process may use %d CPUs; use fewer workers or no pinning",
                o->workers, CPU_COUNT(&allowed));
        return 0;
    }
    if (o->cpu_count < o->workers)
        return refuse(why, "cpu_count is %u; accepted is at least workers, %u", o->cpu_count,
                      o->workers);
    for (uint32_t i = 0; i < o->workers; i++)
        if (o->cpus[i] >= CPU_SETSIZE || !CPU_ISSET(o->cpus[i], &allowed))
            return refuse(why, "cpus[%u] is %u; the process may not use that CPU", i, o->cpus[i]);
    return 0;
}

static int check_options(const struct act_runtime_options *o, struct act_error *why)
{
    const struct {
        const char *name;
        uint64_t value;
        uint64_t min;
        uint64_t max;
    } ranges[] = {
        {"workers", o->workers, 1, ACT_WORKERS_MAX},
        {"ports_max", o->ports_max, 0, ACT_PORTS_MAX},
        {"actors_max", o->actors_max, 1, ACT_ACTORS_MAX},
        {"mailbox_max", o->mailbox_max, 1, 1 << 30},
        {"spin_us", o->spin_us, 0, 1000000},
        {"turn_max", o->turn_max, 1, 65536},
        {"pool_bytes_max", o->pool_bytes_max, POOL_BYTES_MIN, UINT64_MAX},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max)
            return refuse(why, "%s is %llu; accepted is %llu to %llu", ranges[i].name,
                          (unsigned long long)ranges[i].value, (unsigned long long)ranges[i].min,
                          (unsigned long long)ranges[i].max);
    return check_cpus(o, why);
}

/** The k-th CPU to pin to. */
static int cpu_of(const struct act_runtime_options *o, uint32_t worker)
{
    const cpu_set_t allowed = allowed_cpus();

    ACT_ASSERT(worker < o->workers);
    if (!o->pin) return -1;
    if (o->cpus != NULL) return (int)o->cpus[worker];
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &allowed) && worker-- == 0) return cpu;
    return -1;
}

static int create_workers(struct act_runtime *rt)
{
    for (uint32_t i = 0; i < rt->options.workers; i++) {
        ACT_ASSERT(rt->workers[i] == NULL);
        ACT_ASSERT(rt->endpoints[i] == NULL);
        struct act_worker *w = act_memory_take(sizeof *w);
        if (w == NULL) return -ENOMEM;
        rt->workers[i] = w;
        rt->endpoints[i] = &w->endpoint;
        w->cpu = cpu_of(&rt->options, i);
        int error =
            act_endpoint_init(&w->endpoint, rt, i, rt->endpoint_count, rt->options.pool_bytes_max);
        if (error == 0) error = act_endpoint_connect(rt, i);
        if (error != 0) return error;
    }
    return 0;
}

static void end_threads(struct act_runtime *rt, uint32_t count)
{
    ACT_ASSERT(count <= rt->options.workers);
    atomic_store_explicit(&rt->stopping, 1, memory_order_release); /* S1 */
    for (uint32_t i = 0; i < count; i++)
        act_park_poke(&rt->workers[i]->endpoint.park);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(rt->workers[i]->thread, NULL);
}

static int start_threads(struct act_runtime *rt)
{
    for (uint32_t i = 0; i < rt->options.workers; i++) {
        int error = act_thread_create(&rt->workers[i]->thread, act_worker_main, rt->workers[i]);
        if (error == 0) continue;
        /* Those that run wait for the others' actors to stop: the missing ones have none. */
        atomic_fetch_add_explicit(&rt->stopped_workers, rt->options.workers - i,
                                  memory_order_acq_rel);
        end_threads(rt, i);
        return error;
    }
    return 0;
}

static void free_runtime(struct act_runtime *rt)
{
    const size_t pairs = (size_t)rt->endpoint_count * rt->endpoint_count;

    for (uint32_t i = 0; i < rt->endpoint_count && rt->endpoints != NULL; i++)
        if (rt->endpoints[i] != NULL) act_endpoint_deinit(rt->endpoints[i], rt->endpoint_count);
    for (uint32_t i = 0; i < rt->options.workers && rt->workers != NULL; i++)
        act_memory_give(rt->workers[i], sizeof *rt->workers[i]);
    for (uint32_t i = 0; i < rt->options.ports_max && rt->ports != NULL; i++)
        act_memory_give(rt->ports[i], sizeof *rt->ports[i]);
    for (size_t i = 0; i < pairs && rt->lanes != NULL; i++)
        act_lane_destroy(rt->lanes[i]);
    for (size_t i = 0; i < pairs && rt->back_lanes != NULL; i++)
        act_lane_destroy(rt->back_lanes[i]);
    if (rt->registry != NULL) act_registry_destroy(rt->registry);
    if (rt->names != NULL) act_names_destroy(rt->names);
    act_memory_give(rt->lanes, pairs * sizeof(struct act_lane *));
    act_memory_give(rt->back_lanes, pairs * sizeof(struct act_lane *));
    act_memory_give(rt->endpoints, rt->endpoint_count * sizeof(struct act_endpoint *));
    act_memory_give(rt->workers, rt->options.workers * sizeof(struct act_worker *));
    act_memory_give(rt->ports, rt->options.ports_max * sizeof(struct act_port *));
    pthread_mutex_destroy(&rt->mutex);
    pthread_key_delete(rt->port_key);
    act_memory_give(rt, sizeof *rt);
}

static int create_tables(struct act_runtime *rt)
{
    const size_t pairs = (size_t)rt->endpoint_count * rt->endpoint_count;

    ACT_ASSERT(rt->endpoint_count > 0);
    ACT_ASSERT(rt->registry == NULL);
    rt->lanes = act_memory_take(pairs * sizeof(struct act_lane *));
    rt->back_lanes = act_memory_take(pairs * sizeof(struct act_lane *));
    rt->endpoints = act_memory_take(rt->endpoint_count * sizeof(struct act_endpoint *));
    rt->workers = act_memory_take(rt->options.workers * sizeof(struct act_worker *));
    rt->ports = act_memory_take(rt->options.ports_max * sizeof(struct act_port *));
    if (rt->lanes == NULL || rt->back_lanes == NULL || rt->endpoints == NULL ||
        rt->workers == NULL || rt->ports == NULL)
        return -ENOMEM;
    rt->registry = act_registry_create(rt->options.actors_max, rt->endpoint_count);
    rt->names = act_names_create(rt->options.actors_max);
    return rt->registry != NULL && rt->names != NULL ? 0 : -ENOMEM;
}

int act_runtime_start(const struct act_runtime_options *options, struct act_runtime **runtime,
                      struct act_error *why)
{
    struct act_runtime_options o = *options;
    const cpu_set_t allowed = allowed_cpus();

    if (o.workers == 0)
        o.workers =
            CPU_COUNT(&allowed) < ACT_WORKERS_MAX ? (uint32_t)CPU_COUNT(&allowed) : ACT_WORKERS_MAX;
    int error = check_options(&o, why);
    if (error != 0) return error;

    struct act_runtime *rt = act_memory_take(sizeof *rt);
    if (rt == NULL) {
        refuse(why, "no memory for the runtime");
        return -ENOMEM;
    }
    rt->options = o;
    rt->endpoint_count = o.workers + o.ports_max;
    ACT_ASSERT(rt->endpoint_count <= ENDPOINTS_MAX);
    if (pthread_key_create(&rt->port_key, act_port_on_thread_end) != 0) {
        act_memory_give(rt, sizeof *rt);
        refuse(why, "no key for thread-specific data is left; the process has too many runtimes");
        return -EAGAIN;
    }
    pthread_mutex_init(&rt->mutex, NULL);
    error = create_tables(rt);
    if (error == 0) error = create_workers(rt);
    rt->options.cpus = NULL; /* the caller's, not needed any more */
    if (error == 0) error = start_threads(rt);
    if (error != 0) {
        refuse(why,
               "starting %u workers: %s; allow more memory, threads or files, or use fewer workers",
               o.workers, strerror(-error));
        free_runtime(rt);
        return error;
    }
    *runtime = rt;
    return 0;
}

uint32_t act_runtime_workers(const struct act_runtime *runtime)
{
    return runtime->options.workers;
}

uint64_t act_runtime_pool_bytes_max(const struct act_runtime *runtime)
{
    return runtime->options.pool_bytes_max;
}

/** Ends what still lies in lanes and lists; nobody else runs any more. */
static void end_messages(struct act_runtime *rt, struct act_endpoint *e)
{
    struct act_message *m;

    act_endpoint_set_current(e);
    while ((m = list_pop(&e->unsent)) != NULL)
        act_message_unref(m);
    for (uint32_t to = 0; to < rt->endpoint_count; to++) {
        struct act_lane *lane = e->out[to];
        struct act_lane_items items;
        if (lane == NULL) continue;
        while ((items = act_lane_take(lane)).count > 0)
            for (uint32_t i = 0; i < items.count; i++)
                act_delivery_bury(e, &item_message(items.list[i])->user);
        items = act_lane_unpublished(lane);
        for (uint32_t i = 0; i < items.count; i++)
            act_delivery_bury(e, &item_message(items.list[i])->user);
    }
    /* A monitor's answer may have been sent once more: to nobody. */
    while ((m = list_pop(&e->unsent)) != NULL)
        act_message_unref(m);
}

uint64_t act_runtime_stop(struct act_runtime *runtime)
{
    struct act_runtime_stats stats;

    ACT_ASSERT(act_endpoint_current() == NULL); /* not from a worker or with an open port */
    for (uint32_t i = 0; i < runtime->options.ports_max; i++)
        ACT_ASSERT(runtime->ports[i] == NULL || !runtime->ports[i]->is_open);
    end_threads(runtime, runtime->options.workers);
    for (uint32_t i = 0; i < runtime->endpoint_count; i++)
        if (runtime->endpoints[i] != NULL) end_messages(runtime, runtime->endpoints[i]);
    act_endpoint_set_current(NULL);
    act_runtime_stats(runtime, &stats);
    free_runtime(runtime);
    return stats.messages_live;
}
