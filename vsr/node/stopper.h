/**
 * Stops a service from a thread.
 */
#ifndef VSR_NODE_STOPPER_H
#define VSR_NODE_STOPPER_H

#include <act/actor.h>

/** As vsr_service_stop, for a thread that has a port. */
int vsr_node_stop_service(act_id service, uint64_t timeout_ns) ACT_MUST_CHECK;

#endif
