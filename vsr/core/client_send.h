/**
 * A client's requests on their way: one Request to the primary, one to everybody.
 */
#ifndef VSR_CORE_CLIENT_SEND_H
#define VSR_CORE_CLIENT_SEND_H

#include "client_state.h"
#include "message.h"
#include "splitmix.h"

#include <vsr/client.h>

/** Sends what has been appended. */
void vsr_client_close_request(struct vsr_open_request *open, struct vsr_client_effects *out);
/** Makes room for a request in a message. Out of line: most requests find room. */
bool vsr_client_make_room(struct vsr_client *c, struct vsr_open_request *open, uint32_t bytes,
                          struct vsr_client_effects *out);
/** client_send_first, where it is not worth its place. */
void vsr_client_send(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out);
/** Asks everybody. */
void vsr_client_retry(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out);

/** Appends the session's outstanding request to an open message; without a buffer a tick will. */
static inline void client_append(struct vsr_client *c, struct vsr_open_request *open,
                                 const struct vsr_session *s, struct vsr_client_effects *out)
{
    const struct vsr_request *from = &s->request;
    const uint32_t bytes = (uint32_t)sizeof *from + VSR_PADDED(from->payload_bytes);
    bool has_room =
        open->buffer.header != NULL && open->bytes + bytes <= c->options.request_bytes_max;

    if (!has_room && !vsr_client_make_room(c, open, bytes, out)) return;
    struct vsr_request *to =
        (struct vsr_request *)(void *)((uint8_t *)open->buffer.header + open->bytes);
    __builtin_prefetch((uint8_t *)to + WRITE_AHEAD, 1);
    /* Field by field: some were stored a moment ago, see copy_words. */
    to->session = from->session;
    to->number = load_word(&from->number);
    to->slot = from->slot;
    to->payload_bytes = from->payload_bytes;
    to->kind = from->kind;
    to->reserved = 0;
    copy_words(to + 1, from + 1, from->payload_bytes);
    open->bytes += bytes;
    if (++open->count == c->options.requests_per_message) vsr_client_close_request(open, out);
}

/** When to ask again: twice as late each time, up to a bound, and not all at once. */
static inline void client_set_due(struct vsr_client *c, struct vsr_session *s, uint64_t ticks)
{
    uint64_t jitter = s->attempts == 0 ? 0 : splitmix_next(&c->random) % (ticks / 4 + 1);
    s->due_tick = c->tick + ticks + jitter;
}

/** Sends a request to the primary. Inlined where every operation goes through. */
static inline __attribute__((always_inline)) void
client_send_first(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out)
{
    s->attempts = 0;
    client_set_due(c, s, c->options.retry_ticks);
    client_append(c, &c->first, s, out);
}

#endif
