/**
 * Ports that a call borrows.
 */
#ifndef VSR_NODE_PORTS_H
#define VSR_NODE_PORTS_H

#include <act/port.h>
#include <act/runtime.h>

/**
 * A port for the length of a call; *port is NULL when the thread may send without (it has a port,
 * or is a worker). Returns 0, -EINVAL when its port is another runtime's or there is none, or what
 * act_port_open returned.
 */
int vsr_node_port_borrow(struct act_runtime *runtime, struct act_port **port);
/** Closes a borrowed port; NULL: there is nothing to close. Threads: the one that borrowed it. */
void vsr_node_port_return(struct act_port *port);

#endif
