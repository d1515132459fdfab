/**
 * What all endpoints of a runtime share: the options, the registry, the lanes, who there is.
 *
 * It knows workers and ports by pointer alone; worker.h and port.h say what they are.
 */
#ifndef ACT_SRC_FABRIC_H
#define ACT_SRC_FABRIC_H

#include <act/runtime.h>

#include <pthread.h>
#include <stdatomic.h>

struct act_endpoint;
struct act_lane;
struct act_names;
struct act_port;
struct act_registry;
struct act_worker;

struct act_runtime {
    struct act_runtime_options options;
    struct act_registry *registry;
    struct act_names *names;
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
    pthread_key_t port_key;      /* a thread's port: closed with the thread */
};

#endif
