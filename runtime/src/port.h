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
    uint64_t calls; /* that were made, also by its owners before: the last one's number */
    struct act_message **unseen; /* while it waits for an answer: the first message not looked at */
    bool is_open;
    bool is_armed; /* park announced, for act_port_fd */
};

/** Closes the port of a thread that ends with it open: the destructor of the runtime's port_key. */
void act_port_on_thread_end(void *port);

#endif
