/**
 * A client's sessions open, are lost and close: rules 5.3 to 5.6 of DESIGN.md.
 */
#ifndef VSR_CORE_CLIENT_SESSIONS_H
#define VSR_CORE_CLIENT_SESSIONS_H

#include "client_state.h"

#include <vsr/client.h>

/** Opens or closes sessions that have been told to, while there is room. */
void vsr_sessions_go_on(struct vsr_client *c, struct vsr_client_effects *out);
/** Closes a session; its Close has a number of its own, so that no late result is its answer. */
void vsr_session_close(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out);
/** The cluster has closed it. */
void vsr_session_closed(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out);
/** The session that a reply is for: ours, waiting for just this. Its index, or UINT32_MAX. */
uint32_t vsr_session_find(struct vsr_client *c, const struct vsr_reply *reply);

void vsr_on_registered(struct vsr_client *c, const struct vsr_reply *reply,
                       struct vsr_client_effects *out);
/** Its id is another client's: whatever it opened would be the other's too. */
void vsr_on_register_refused(struct vsr_client *c, const struct vsr_reply *reply,
                             struct vsr_client_effects *out);
/** What is neither a result nor the answer to a Register. */
void vsr_on_refusal(struct vsr_client *c, const struct vsr_header *m, const struct vsr_reply *reply,
                    struct vsr_client_effects *out);

#endif
