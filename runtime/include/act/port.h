/**
 * Ports: how a thread that is not a worker (a main thread, a foreign event loop) takes part.
 *
 * Opening a port binds it to the calling thread, which from then on may call what message.h and
 * actor.h offer. A port has an id: actors answer to it. Its sends are published at once. A thread
 * has at most one open port; a port belongs to one thread.
 */
#ifndef ACT_PORT_H
#define ACT_PORT_H

#include <act/message.h>
#include <act/runtime.h>
#include <act/types.h>

ACT_DECLARATIONS_BEGIN

struct act_port;

/**
 * Opens a port for the calling thread.
 *
 * Ownership: gives the caller *port, to be closed by the same thread before the runtime stops.
 * Returns:   0, -EBUSY when the thread has a port or is a worker, -EAGAIN when ports_max are open
 *            or actors_max are alive, -ENOMEM, or another negative errno of opening files.
 */
int act_port_open(struct act_runtime *runtime, struct act_port **port) ACT_MUST_CHECK;

/**
 * Tells the port's id: what it sends is from this id, and actors answer to it.
 *
 * Threads: any, as long as the port is open.
 * Returns: the id; another one each time that a port is opened.
 */
act_id act_port_id(const struct act_port *port);

/**
 * Waits for the next message to the port.
 *
 * Ownership: gives the caller the message.
 * Shape:     timeout_ns 0 only looks; UINT64_MAX waits without end. A time ends at most 0.2 ms
 *            late in 99 of 100 cases, as far as the kernel gives the thread a CPU.
 * Returns:   the message, or NULL when the time is over.
 */
struct act_message *act_port_receive(struct act_port *port, uint64_t timeout_ns) ACT_MUST_CHECK;

/**
 * A file descriptor for poll or epoll: readable when a message may wait.
 *
 * Call act_port_receive(port, 0) until it returns NULL, then poll: that NULL arms the descriptor.
 * Ownership: stays with the port; do not read or close it.
 */
int act_port_fd(const struct act_port *port);

/**
 * Closes the port. What still waits for it, or is sent to it later, becomes dead letters.
 *
 * A thread that ends with an open port has it closed so, but for what it had received and not
 * ended. The main thread's end is the process's.
 *
 * Threads: the one that opened it. Who monitors the port is told; that waits for room in full
 * lanes.
 */
void act_port_close(struct act_port *port);

ACT_DECLARATIONS_END

#endif
