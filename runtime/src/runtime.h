/**
 * The whole runtime and a worker, as the runtime's own files see them.
 */
#ifndef ACT_SRC_RUNTIME_H
#define ACT_SRC_RUNTIME_H

#include "endpoint.h"
#include "wheel.h"

#include <act/port.h>

#include <pthread.h>

struct act_worker {
    struct act_endpoint endpoint;
    struct act_wheel wheel;
    pthread_t thread;
    int cpu;          /* to pin to, or -1 */
    uint32_t handled; /* messages since the clock was read */
};

struct act_port {
    struct act_endpoint endpoint;
    struct act_actor *actor; /* its mailbox */
    act_id id;
    bool is_open;
    bool is_armed; /* park announced, for act_port_fd */
};

struct act_runtime {
    struct act_runtime_options options;
    struct act_registry *registry;
    struct act_worker **workers;     /* [options.workers] */
    struct act_port **ports;         /* [options.ports_max], NULL = never opened */
    struct act_endpoint **endpoints; /* both, by index */
    struct act_lane **lanes;         /* [endpoints * endpoints], from * endpoints + to */
    struct act_lane **back_lanes;
    uint32_t endpoint_count;     /* that there may be */
    atomic_uint next_place;      /* round robin of what ports spawn */
    atomic_uint stopping;        /* 1: stop all actors; 2: end */
    atomic_uint stopped_workers; /* that have no actor left */
    pthread_mutex_t mutex;       /* guards ports, lanes and endpoints while ports open */
};

static inline struct act_worker *worker_of(struct act_endpoint *e)
{
    return (struct act_worker *)(void *)e;
}

/** Creates the lanes between an endpoint and all others. Returns 0 or -ENOMEM. */
int act_runtime_connect(struct act_runtime *rt, uint32_t index);

/** The thread function of a worker. */
void *act_worker_main(void *worker);

#endif
