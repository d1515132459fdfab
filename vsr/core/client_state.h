/**
 * A client's state: its sessions, and the messages that it is filling.
 */
#ifndef VSR_CORE_CLIENT_STATE_H
#define VSR_CORE_CLIENT_STATE_H

#include "assert.h"
#include "members.h"

#include <vsr/client.h>

/** Effects that are left when sessions stop opening and closing in a step. */
enum { CLIENT_EFFECTS_SPARE = 8 };

/** For payloads of up to 24 bytes one cache line. */
struct vsr_session {
    uint64_t due_tick;          /* when the outstanding request is sent again */
    uint32_t attempts;          /* of the outstanding request */
    uint8_t state;              /* enum vsr_session_state */
    uint8_t evictions;          /* without a result between them */
    struct vsr_request request; /* the last one as it is sent; its payload follows, padded */
};

_Static_assert(sizeof(struct vsr_session) + sizeof(struct vsr_register) == 64, "one cache line");

/** A Request message being filled. */
struct vsr_open_request {
    struct vsr_buffer buffer; /* header NULL: none */
    uint32_t bytes;
    uint32_t count;
    uint32_t to; /* mask of replicas */
};

/** Sessions whose slot another one has: client_displaced.h. Indices + 1; 0 = none. */
struct vsr_displaced {
    uint32_t *lists; /* by the session's number and slot */
    uint32_t *next;  /* session index -> the one behind it */
    uint32_t mask;   /* of the lists */
    uint64_t read;   /* sessions that were looked at, ever */
};

struct vsr_client {
    struct vsr_client_options options;
    struct vsr_members members; /* whom it asks; it is none of them */
    uint8_t *sessions;          /* struct vsr_session and payload, `stride` bytes each */
    uint32_t *session_of;       /* slot -> session index + 1 */
    struct vsr_displaced displaced;
    uint32_t stride;
    struct vsr_open_request first; /* to the primary */
    struct vsr_open_request again; /* retries, to everybody */
    vsr_view view_hint;
    uint64_t tick;
    uint32_t sweep;  /* the next session to look at */
    uint32_t moved;  /* sessions before this one know of the new primary */
    uint32_t opened; /* sessions before this one have been told to open */
    uint32_t left;   /* or to close */
    bool is_closing;
    bool is_leaving;
    uint64_t registers; /* sent under an id of their own */
    uint64_t random;    /* of the jitter */
    struct vsr_client_report report;
};

static inline struct vsr_client_effect *client_effects_next(struct vsr_client_effects *out,
                                                            enum vsr_client_effect_kind kind,
                                                            uint32_t session)
{
    VSR_ASSERT(out->count < out->capacity);
    struct vsr_client_effect *effect = &out->list[out->count++];
    effect->kind = kind;
    effect->session = session;
    return effect;
}

static inline struct vsr_session *session_at(const struct vsr_client *c, uint32_t index)
{
    return (struct vsr_session *)(void *)(c->sessions + (size_t)index * c->stride);
}

static inline bool client_effects_have_room(const struct vsr_client_effects *out)
{
    return out->count + CLIENT_EFFECTS_SPARE <= out->capacity;
}

static inline bool is_outstanding(const struct vsr_session *s)
{
    return s->state >= VSR_SESSION_WAITING || s->state == VSR_SESSION_REGISTERING;
}

#endif
