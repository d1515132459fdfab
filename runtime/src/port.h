/**
 * A port: an endpoint of a thread that is not the runtime's, and one mailbox.
 */
#ifndef ACT_SRC_PORT_H
#define ACT_SRC_PORT_H

#include "endpoint.h"

#include <act/port.h>

struct act_port {
    struct act_endpoint endpoint;
    struct act_actor *actor; /* its mailbox */
    act_id id;
    bool is_open;
    bool is_armed; /* park announced, for act_port_fd */
};

#endif
