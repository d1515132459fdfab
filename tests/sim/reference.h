/**
 * What executing the committed log means, said once more and simply: sessions, exactly once, a
 * counter machine. Fed with each committed entry in order.
 */
#ifndef SIM_REFERENCE_H
#define SIM_REFERENCE_H

#include "map.h"

#include <vsr/message.h>
#include <vsr/state_machine.h>

enum { REFERENCE_RESULT_BYTES = 8 };

/** What a request of a session gave. */
struct reference_result {
    uint64_t value;
    uint64_t tag; /* of the payload that was executed */
};

struct reference_session {
    uint64_t client_id[2];
    vsr_session session;
    uint32_t slot;
    bool is_open;
    bool is_closed;  /* by its client */
    uint64_t number; /* the last executed */
    vsr_op last_op;
    struct reference_result *results; /* [number - 1] */
    size_t capacity;
};

struct reference {
    struct vsr_state_machine machine;
    struct reference_session *sessions;
    size_t count, capacity;
    struct map by_name; /* session and slot -> index */
    size_t *slots;      /* slot -> index */
    uint32_t slots_used, slots_max;
    uint32_t *free; /* slots of closed sessions, a stack */
    uint32_t free_count;
};

/** What an entry does. */
struct reference_outcome {
    uint32_t executed;
    uint64_t results; /* summed up */
    uint64_t digest;
    uint64_t repeated; /* requests of open sessions that were not their next */
};

void reference_init(struct reference *r, uint32_t sessions_max, uint32_t keys);
void reference_deinit(struct reference *r);
struct reference_outcome reference_execute(struct reference *r, const struct vsr_prepare *entry);
/** The session ever opened under this name, or NULL. */
const struct reference_session *reference_find(const struct reference *r, vsr_session session,
                                               uint32_t slot);
/** Whether a session that this client id has opened is closed or evicted. */
bool reference_has_left(const struct reference *r, const uint64_t client_id[2]);
/** Tells payloads apart. */
uint64_t reference_tag(const void *payload, uint32_t bytes);
/** Adds a result to a sum. */
uint64_t reference_sum(uint64_t sum, const struct vsr_result *result);

#endif
