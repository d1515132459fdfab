/**
 * A worker: an endpoint with a thread of the runtime's own, and timers.
 */
#ifndef ACT_SRC_WORKER_H
#define ACT_SRC_WORKER_H

#include "endpoint.h"
#include "schedule.h"

#include <pthread.h>

struct act_worker {
    struct act_endpoint endpoint;
    struct act_schedule schedule;
    pthread_t thread;
    int cpu; /* to pin to, or -1 */
};

/** The thread function of a worker. */
void *act_worker_main(void *worker);

#endif
