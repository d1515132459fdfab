/**
 * The primary's answers: replies gathered into one message per client and turn.
 */
#include "reply.h"

#include "make.h"
#include "message.h"
#include "state.h"

#include <string.h>

static void close_reply(struct vsr_replica *r, struct vsr_open_reply *open, struct vsr_effects *out)
{
    VSR_ASSERT(open->count > 0);
    open->buffer.header->bytes = open->bytes;
    open->buffer.header->count = open->count;
    effects_send_client(out, open->address, open->buffer);
    r->replies_open &= ~(1u << (open - r->replies));
}

void vsr_flush_replies(struct vsr_replica *r, struct vsr_effects *out)
{
    while (r->replies_open != 0)
        close_reply(r, &r->replies[__builtin_ctz(r->replies_open)], out);
}

static struct vsr_open_reply *find_open(struct vsr_replica *r, vsr_address address)
{
    const uint32_t last = r->reply_last;

    if ((r->replies_open >> last & 1) != 0 && r->replies[last].address == address)
        return &r->replies[last];
    for (uint32_t left = r->replies_open; left != 0; left &= left - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(left);
        if (r->replies[i].address != address) continue;
        r->reply_last = i;
        return &r->replies[i];
    }
    return NULL;
}

static struct vsr_open_reply *open_reply(struct vsr_replica *r, vsr_address address, uint32_t bytes,
                                         struct vsr_effects *out)
{
    uint32_t at = (uint32_t)__builtin_ctz(~r->replies_open);

    VSR_ASSERT(sizeof(struct vsr_header) + bytes <= r->options.reply_bytes_max); /* options.c */
    if (at == OPEN_REPLIES_MAX) {
        at = r->reply_victim++ % OPEN_REPLIES_MAX;
        close_reply(r, &r->replies[at], out);
    }
    VSR_ASSERT((r->replies_open >> at & 1) == 0);
    struct vsr_open_reply *open = &r->replies[at];
    uint32_t capacity = r->options.replies_per_message == 1
                            ? (uint32_t)sizeof(struct vsr_header) + bytes
                            : r->options.reply_bytes_max;
    if (vsr_make_replies(r, sizeof(struct vsr_replies), capacity, &open->buffer) == NULL)
        return NULL;
    r->replies_open |= 1u << at;
    open->address = address;
    open->bytes = sizeof(struct vsr_header);
    open->count = 0;
    r->reply_last = at;
    return open;
}

/** The open message that `bytes` more for an address fit in, or NULL: the reply is lost then. */
static struct vsr_open_reply *reply_room(struct vsr_replica *r, vsr_address address, uint32_t bytes,
                                         struct vsr_effects *out)
{
    struct vsr_open_reply *open = find_open(r, address);

    /* An op's replies always fit. Answers to repeated requests may use the list up; what is not
     * said to those will be asked again. */
    if (out->count + r->options.pipeline_max + EFFECTS_SPARE > r->effects_end) {
        drop(r, VSR_DROP_NO_BUFFER);
        return NULL;
    }
    if (open != NULL && open->bytes + bytes > r->options.reply_bytes_max) {
        close_reply(r, open, out);
        open = NULL;
    }
    if (open == NULL) open = open_reply(r, address, bytes, out);
    if (open == NULL) drop(r, VSR_DROP_NO_BUFFER);
    return open;
}

void vsr_reply(struct vsr_replica *r, vsr_address address, const struct vsr_reply *reply,
               const void *payload, struct vsr_effects *out)
{
    const uint32_t bytes = (uint32_t)sizeof *reply + VSR_PADDED(reply->payload_bytes);
    struct vsr_open_reply *open = reply_room(r, address, bytes, out);

    if (open == NULL) return;
    VSR_ASSERT(payload != NULL || reply->payload_bytes == 0);
    VSR_ASSERT(open->bytes + bytes <= r->options.reply_bytes_max);
    struct vsr_reply *copy =
        (struct vsr_reply *)(void *)((uint8_t *)open->buffer.header + open->bytes);
    *copy = *reply;
    copy_words(copy + 1, payload, reply->payload_bytes);
    open->bytes += bytes;
    if (++open->count == r->options.replies_per_message) close_reply(r, open, out);
}

static uint32_t reply_bytes(const struct vsr_client_entry *entry)
{
    return (uint32_t)sizeof(struct vsr_reply) + VSR_PADDED(entry->result_bytes);
}

/**
 * Appends replies to an open message: those for its address that follow each other and fit.
 *
 * Returns: the first operation that is not answered; the first one given always is.
 */
static const struct vsr_operation *fill_reply(const struct vsr_replica *r,
                                              struct vsr_open_reply *open,
                                              const struct vsr_operation *next,
                                              const struct vsr_operation *end)
{
    const uint32_t bytes_max = r->options.reply_bytes_max;
    const uint32_t result_bytes_max = r->options.result_bytes_max;
    const vsr_address address = open->address;
    const struct vsr_operation *const first = next;
    uint32_t at = open->bytes;

    do {
        const struct vsr_client_entry *entry = vsr_client_entry_of(next->result);
        const uint32_t result_bytes = entry->result_bytes;
        VSR_ASSERT(result_bytes <= result_bytes_max);
        if (entry->address != address || at + reply_bytes(entry) > bytes_max) break;

        const struct vsr_request *request = (const struct vsr_request *)next->payload - 1;
        struct vsr_reply *reply = (struct vsr_reply *)(void *)((uint8_t *)open->buffer.header + at);
        __builtin_prefetch((uint8_t *)reply + WRITE_AHEAD, 1);
        reply->session = entry->session;
        reply->number = entry->number;
        reply->slot = request->slot;
        reply->payload_bytes = (uint16_t)result_bytes;
        reply->status = VSR_REPLY_OK;
        reply->reserved = 0;
        copy_words(reply + 1, next->result->data, result_bytes);
        at += reply_bytes(entry);
    } while (++next < end);
    open->bytes = at;
    open->count += (uint32_t)(next - first);
    return next;
}

void vsr_reply_to_operations(struct vsr_replica *r, struct vsr_effects *out)
{
    const uint32_t most = r->options.replies_per_message;
    const struct vsr_operation *next = r->operations;
    const struct vsr_operation *const end = next + r->operation_count;

    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->operation_count <= r->options.batch_requests_max);
    while (next < end) {
        const struct vsr_client_entry *entry = vsr_client_entry_of(next->result);
        VSR_ASSERT(entry->result_bytes <= r->options.result_bytes_max);
        struct vsr_open_reply *open = reply_room(r, entry->address, reply_bytes(entry), out);
        if (open == NULL) {
            next++;
            continue;
        }
        VSR_ASSERT(most == 0 || open->count < most);
        const size_t left = (size_t)(end - next);
        const size_t room = most == 0 ? left : most - open->count;
        next = fill_reply(r, open, next, next + (room < left ? room : left));
        if (open->count == most) close_reply(r, open, out);
    }
}

void vsr_reply_from_table(struct vsr_replica *r, uint32_t slot, struct vsr_effects *out)
{
    struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);
    const struct vsr_reply reply = {
        .session = entry->session,
        .number = entry->number,
        .slot = slot,
        .payload_bytes = (uint16_t)entry->result_bytes,
        .status = VSR_REPLY_OK,
    };
    VSR_ASSERT(slot < r->clients.count);
    VSR_ASSERT(entry->session != 0);
    VSR_ASSERT(entry->number != 0);
    VSR_ASSERT(entry->last_op <= r->applied); /* C7; and its result is there */
    VSR_ASSERT(entry->result_bytes <= r->options.result_bytes_max);
    vsr_reply(r, entry->address, &reply, vsr_client_entry_result(entry)->data, out);
}

void vsr_reply_closed(struct vsr_replica *r, vsr_address address, const struct vsr_request *request,
                      struct vsr_effects *out)
{
    const struct vsr_reply reply = {
        .session = request->session,
        .number = request->number,
        .slot = request->slot,
        .status = VSR_REPLY_OK,
    };
    VSR_ASSERT(request->kind == VSR_KIND_CLOSE);
    VSR_ASSERT(vsr_client_table_has_left(&r->clients, request->session, request->slot));
    vsr_reply(r, address, &reply, NULL, out);
}

void vsr_reply_evicted(struct vsr_replica *r, vsr_address address,
                       const struct vsr_request *request, struct vsr_effects *out)
{
    const bool is_known = vsr_client_table_has_left(&r->clients, request->session, request->slot);
    const struct vsr_evicted evicted = {is_known ? r->clients.past[request->slot].number : 0};
    const struct vsr_reply reply = {
        .session = request->session,
        .number = request->number,
        .slot = request->slot,
        .payload_bytes = is_known ? sizeof evicted : 0,
        .status = VSR_REPLY_EVICTED,
    };
    VSR_ASSERT(request->kind != VSR_KIND_REGISTER); /* that has no session yet */
    VSR_ASSERT(request->session <= r->applied);     /* 4.1.1: its Register has been executed here */
    vsr_reply(r, address, &reply, &evicted, out);
}

void vsr_reply_register_evicted(struct vsr_replica *r, const struct vsr_register *payload,
                                struct vsr_effects *out)
{
    const struct vsr_registered result = {
        .client_id = {payload->client_id[0], payload->client_id[1]},
    };
    const struct vsr_reply reply = {
        .payload_bytes = sizeof result,
        .status = VSR_REPLY_EVICTED,
    };
    VSR_DCHECK(vsr_client_table_slot_of(&r->clients, payload->client_id) == UINT32_MAX);
    vsr_reply(r, payload->address, &reply, &result, out);
}

void vsr_reply_registered(struct vsr_replica *r, uint32_t slot, vsr_address address,
                          struct vsr_effects *out)
{
    const struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);
    const uint64_t *id = r->clients.ids[slot];
    const struct vsr_registered result = {.client_id = {id[0], id[1]}};
    /* Rule 5.4: one id, two clients. The second gets nothing of the first one's. */
    const bool is_its_own = entry->address == address;
    const struct vsr_reply reply = {
        .session = is_its_own ? entry->session : 0,
        .number = 0,
        .slot = is_its_own ? slot : 0,
        .payload_bytes = sizeof result,
        .status = is_its_own ? VSR_REPLY_OK : VSR_REPLY_REFUSED,
    };
    VSR_ASSERT(slot < r->clients.count);
    VSR_ASSERT(entry->session != 0);         /* a free slot is nowhere in the index */
    VSR_ASSERT(entry->session <= r->commit); /* C7 */
    vsr_reply(r, address, &reply, &result, out);
}
