/**
 * Operations on their way to a service. See submit.h.
 */
#include "submit.h"

#include "answers.h"
#include "messages.h"

#include <act/actor.h>
#include <act/message.h>
#include <vsr/service.h>

#include <errno.h>
#include <string.h>

int vsr_node_service_submit(act_id service, const struct vsr_node_submit *submit,
                            const void *payload)
{
    const uint32_t payload_bytes = submit->payload_bytes;
    const uint32_t bytes = (uint32_t)sizeof *submit + payload_bytes;
    const uint32_t least =
        vsr_node_answer_capacity((uint32_t)sizeof(struct vsr_answer) + RESULT_BYTES_OWN);

    if (payload_bytes > VSR_OP_BYTES_MAX) return -EMSGSIZE;
    if (payload == NULL && payload_bytes > 0) return -EINVAL;
    if (act_self() == ACT_ID_NONE) return -EINVAL;
    struct act_message *m = act_message_create(NODE_SUBMIT, bytes < least ? least : bytes);
    if (m == NULL) return -ENOMEM;
    memcpy(m->body, submit, sizeof *submit);
    if (payload_bytes > 0) memcpy((uint8_t *)m->body + sizeof *submit, payload, payload_bytes);
    int error = act_send(service, m);
    if (error != 0) act_message_unref(m);
    return error;
}

int vsr_service_send(act_id service, uint64_t cookie, const void *payload, uint32_t payload_bytes)
{
    const struct vsr_node_submit submit = {.cookie = cookie, .payload_bytes = payload_bytes};
    return vsr_node_service_submit(service, &submit, payload);
}
