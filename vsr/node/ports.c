/**
 * Borrowed ports. See ports.h.
 */
#include "ports.h"

#include "../core/assert.h"

#include <act/actor.h>

#include <errno.h>
#include <stddef.h>

int vsr_node_port_borrow(struct act_runtime *runtime, struct act_port **port)
{
    if (runtime == NULL) return -EINVAL;
    int error = act_port_open(runtime, port);
    if (error == -EBUSY) {
        /* Another runtime's port would reach its actors, whose ids may be the same. */
        if (act_current_runtime() != runtime) return -EINVAL;
        *port = NULL;
        return 0;
    }
    return error;
}

void vsr_node_port_return(struct act_port *port)
{
    if (port == NULL) return;
    VSR_ASSERT(act_port_id(port) == act_self()); /* the thread that borrowed it */
    act_port_close(port);
}
