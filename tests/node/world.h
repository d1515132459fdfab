/**
 * A runtime, a cluster of counters, a service and a caller for a test, each as far as it wants.
 */
#ifndef TESTS_NODE_WORLD_H
#define TESTS_NODE_WORLD_H

#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>
#include <vsr/service.h>

#include <criterion/criterion.h>
#include <stdatomic.h>

#define SECOND 1000000000ull
enum { WORLD_COUNTERS = 16 };

/** Waits until a condition holds, with a bound; and with a shorter one, for what takes no time. */
#define AWAIT(condition) AWAIT_MS(20000, condition)
#define AWAIT_MS(ms_max, condition)                                                                \
    for (uint32_t waited_ms = 0; !(condition); waited_ms++) {                                      \
        cr_assert(waited_ms < (ms_max), "not so in time: " #condition);                            \
        world_sleep_ms(1);                                                                         \
    }

struct world {
    /* The defaults, but for what world_init says. A test changes them before it starts. */
    struct act_runtime_options runtime_options;
    struct vsr_cluster_options options;
    struct vsr_service_options service_options;
    /* NULL, ACT_ID_NONE: has not been started. */
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    act_id service;
    struct vsr_caller *caller;
    atomic_uint notices[VSR_NOTICE_COUNT]; /* counted by options.on_notice */
};

void world_sleep_ms(uint32_t ms);

/** For a test that ends with SIGABRT: it fails unless these words stand on stderr by then. */
void world_expect_last_words(const char *words);

/** Two workers, counters as state machines, notices counted; nothing runs yet. */
void world_init(struct world *w);
/** So many replicas, which suspect and abdicate soon. */
void world_set_replicas(struct world *w, uint32_t replicas);
/** Each starts what comes before it, unless it runs. */
void world_start_runtime(struct world *w);
void world_start(struct world *w);
void world_start_service(struct world *w);
void world_start_caller(struct world *w);
/** Stops what runs, in order: the service has 10 s for what is outstanding. */
void world_stop(struct world *w);

/** Starts a service with the world's options for services. */
act_id world_spawn_service(struct world *w);
/** Adds to a counter. Returns what vsr_caller_call returned. */
int world_add(struct vsr_caller *caller, struct vsr_counter_add add, uint64_t *value,
              uint64_t timeout_ns);
/** A replica's report: without the digest; with it. */
struct vsr_cluster_report world_look(struct world *w, uint32_t replica);
struct vsr_cluster_report world_inspect(struct world *w, uint32_t replica);
void world_await_normal(struct world *w, uint32_t replica);
void world_kill(struct world *w, uint32_t replica);
void world_restart(struct world *w, uint32_t replica);

#endif
