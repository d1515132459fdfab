/**
 * A client, alone: what it has said, and what it is answered.
 */
#ifndef VSR_TESTS_DESK_H
#define VSR_TESTS_DESK_H

#include "fixture.h"

#include <vsr/client.h>

struct desk {
    struct vsr_client *c;
    struct vsr_client_effects out;
    void *memory;
    uint32_t sessions;
};

struct desk open_desk(uint32_t sessions, uint32_t requests_per_message);
void drop_effects(struct desk *d);
void close_desk(struct desk *d);
/** The n-th request in the messages being sent, or NULL. */
const struct vsr_request *request(const struct desk *d, uint32_t nth, uint32_t *to);
/** The client's id in the n-th request, a Register. */
void read_id(const struct desk *d, uint32_t nth, uint32_t *to, uint64_t id[2]);
uint32_t count_effects(const struct desk *d, enum vsr_client_effect_kind kind);
void receive_reply(struct desk *d, struct vsr_reply reply, const void *payload, vsr_view view);
/** Answers the Register that is being sent: session 100 + slot. */
void admit(struct desk *d, uint32_t nth, uint32_t slot);
/** A desk whose sessions are open: session i has slot i. */
struct desk ready_desk(uint32_t sessions, uint32_t requests_per_message);
void submit(struct desk *d, uint32_t session);
void reply_to(struct desk *d, uint32_t session, uint64_t number, uint8_t status);

#endif
