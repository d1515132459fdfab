/**
 * Operations on their way to a service.
 */
#ifndef VSR_NODE_SUBMIT_H
#define VSR_NODE_SUBMIT_H

#include <act/types.h>

#include <stdint.h>

/** Body of a NODE_SUBMIT; the payload follows. The message has room for its answer, too. */
struct vsr_node_submit {
    uint64_t cookie;
    uint64_t deadline_ns; /* of act_now_ns: a session that is free later is too late; 0 = none */
    uint32_t payload_bytes;
    uint32_t reserved;
};

/** The result of an operation fits into its own message up to here. */
enum { RESULT_BYTES_OWN = 48 };

/** As vsr_service_send, with a deadline. */
int vsr_node_service_submit(act_id service, const struct vsr_node_submit *submit,
                            const void *payload);

#endif
