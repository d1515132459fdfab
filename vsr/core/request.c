/**
 * The primary's intake: which requests enter the log, and in which batch.
 *
 * A request waits in one of three places: in the open batch, in the queue of Request messages (when
 * the batch and the pipeline are full), or with its client (after Busy).
 */
#include "request.h"

#include "checksum.h"
#include "divergence.h"
#include "forward.h"
#include "log_room.h"
#include "make.h"
#include "message.h"
#include "normal.h"
#include "queue.h"
#include "reply.h"
#include "state.h"

#include <string.h>

static bool pipeline_has_room(const struct vsr_replica *r)
{
    VSR_ASSERT(r->commit <= r->log.op);
    /* What is prepared while abdicating would keep the backups from voting. */
    return !r->in_view.is_abdicating && r->log.op - r->commit < r->options.pipeline_max;
}

static bool open_batch(struct vsr_replica *r, uint8_t kind)
{
    struct vsr_batch *batch = &r->batch;
    const uint32_t bytes = sizeof(struct vsr_prepare);

    VSR_ASSERT(batch->buffer.header == NULL);
    VSR_ASSERT(kind < VSR_KIND_COUNT);

    if (vsr_make_prepare(r, bytes, r->options.batch_bytes_max, &batch->buffer) == NULL)
        return false;
    batch->bytes = bytes;
    batch->count = 0;
    batch->kind = kind;
    return true;
}

/** Makes the open batch the next op. */
static bool close_batch(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_batch *batch = &r->batch;
    struct vsr_buffer buffer = batch->buffer;
    struct vsr_prepare *prepare = (struct vsr_prepare *)(void *)buffer.header;

    VSR_ASSERT(prepare != NULL);
    VSR_ASSERT(batch->count > 0);
    VSR_ASSERT(batch->bytes <= r->options.batch_bytes_max);
    VSR_ASSERT(batch->count <= r->options.batch_requests_max);
    /* With Qr = 1 an op is committed at once: the list of effects is the bound of a step then. */
    if (out->count + 2 * EFFECTS_SPARE > r->effects_end) return false;
    if (!pipeline_has_room(r) || !vsr_make_room(r)) return false;

    prepare->header.bytes = batch->bytes;
    prepare->header.count = batch->count;
    prepare->commit = r->commit;
    prepare->commit_checksum = r->commit_checksum;
    prepare->released = r->released;
    prepare->agreed = r->in_view.compared.agreed;
    prepare->entry = (struct vsr_entry){
        .op = r->log.op + 1,
        .view = r->view,
        .epoch = r->members.epoch,
        .parent_checksum = r->log.head_checksum,
        /* The state machine's clock never runs backwards. */
        .timestamp = vsr_clock_stamp(&r->clock, r->log.head_timestamp),
        .kind = batch->kind,
    };
    prepare->entry.checksum = vsr_entry_checksum(prepare);
    *batch = (struct vsr_batch){0};
    vsr_append_and_send(r, buffer, out);
    return true;
}

static bool batch_fits(const struct vsr_replica *r, const struct vsr_request *request)
{
    const struct vsr_batch *batch = &r->batch;

    if (batch->kind != request->kind) return false;
    if (batch->bytes + request_bytes(request) > r->options.batch_bytes_max) return false;
    /* One op opens no more sessions than the table holds, or two of them would share an entry. */
    if (request->kind == VSR_KIND_REGISTER && batch->count >= r->options.sessions_max) return false;
    return batch->count < r->options.batch_requests_max;
}

/** Appends a request to the batch. False: there is no room now, and nothing has changed. */
static bool batch_append(struct vsr_replica *r, const struct vsr_request *request,
                         struct vsr_effects *out)
{
    struct vsr_batch *batch = &r->batch;

    if (batch->buffer.header != NULL && !batch_fits(r, request) && !close_batch(r, out))
        return false;
    if (batch->buffer.header == NULL && !open_batch(r, request->kind)) return false;

    uint8_t *to = (uint8_t *)batch->buffer.header + batch->bytes;
    __builtin_prefetch(to + WRITE_AHEAD, 1);
    const uint32_t bytes = request_bytes(request);
    VSR_ASSERT(batch->kind == request->kind);
    VSR_ASSERT(batch->bytes + bytes <= r->options.batch_bytes_max);
    copy_words(to, request, bytes);
    batch->bytes += bytes;
    batch->count++;
    return true;
}

static void answer_status(struct vsr_replica *r, vsr_address client,
                          const struct vsr_request *request, enum vsr_reply_status status,
                          struct vsr_effects *out)
{
    const struct vsr_reply reply = {
        .session = request->session,
        .number = request->number,
        .slot = request->slot,
        .status = (uint8_t)status,
    };
    VSR_ASSERT(status != VSR_REPLY_OK); /* that comes with a result */
    VSR_ASSERT(request->kind != VSR_KIND_REGISTER);
    vsr_reply(r, client, &reply, NULL, out);
}

/** What is to be done with a request, and by the way why not. */
enum verdict { VERDICT_APPEND, VERDICT_DROP, VERDICT_WAIT };

/** Whether a request is its session's next, and nothing of the session waits in the log. */
static bool is_next(const struct vsr_client_entry *entry, const struct vsr_request *request)
{
    return request->number == entry->number + 1 && entry->pending == entry->number;
}

/** Source: VRR §4.1 steps 1-2; rules 4.1.1 to 4.1.4 of DESIGN.md. */
static enum verdict judge_operation(struct vsr_replica *r, vsr_address client,
                                    const struct vsr_request *request,
                                    struct vsr_client_entry *entry, struct vsr_effects *out)
{
    if (entry == NULL) {
        /* Its Register may be in our log and not executed here yet: silence, it will come. */
        if (request->session > r->applied) {
            drop(r, VSR_DROP_UNKNOWN_SESSION);
        } else {
            drop(r, VSR_DROP_EVICTED_SESSION);
            vsr_reply_evicted(r, client, request, out);
        }
        return VERDICT_DROP;
    }
    VSR_ASSERT(entry->pending >= entry->number);
    if (is_next(entry, request)) return VERDICT_APPEND;
    /* The old primary has answered what is in the log that we began with and have not executed all
     * of: its client goes on, and must not be taken to be out of order. */
    if (request->number == entry->pending + 1 && r->applied < r->in_view.view_start_op)
        return VERDICT_WAIT;

    if (request->number > entry->pending || request->number == 0) {
        drop(r, VSR_DROP_OUT_OF_ORDER);
    } else if (request->number > entry->number || entry->last_op > r->applied) {
        drop(r, VSR_DROP_IN_LOG);
    } else if (request->number < entry->number) {
        drop(r, VSR_DROP_STALE);
    } else {
        drop(r, VSR_DROP_ANSWERED);
        vsr_reply_from_table(r, request->slot, out);
    }
    return VERDICT_DROP;
}

/** Where it is remembered that this Register was logged. */
static struct vsr_logged_register *register_of(struct vsr_replica *r,
                                               const struct vsr_register *payload)
{
    const uint64_t hash = vsr_checksum_of(0, payload->client_id, sizeof payload->client_id);

    return &r->in_view.registers[hash % REGISTERS_KEPT];
}

/** The op in which this view's primary has logged this Register; 0 = none that it remembers. */
static vsr_op logged_at(struct vsr_replica *r, const struct vsr_register *payload)
{
    const struct vsr_logged_register *logged = register_of(r, payload);
    const bool is_it = logged->client_id[0] == payload->client_id[0] &&
                       logged->client_id[1] == payload->client_id[1] &&
                       logged->address == payload->address;

    return is_it ? logged->op : 0;
}

static void note_register(struct vsr_replica *r, const struct vsr_request *request)
{
    const struct vsr_register *payload = (const struct vsr_register *)(const void *)(request + 1);

    VSR_ASSERT(request->kind == VSR_KIND_REGISTER);
    VSR_ASSERT(r->batch.kind == VSR_KIND_REGISTER);
    VSR_ASSERT(r->batch.buffer.header != NULL);
    *register_of(r, payload) = (struct vsr_logged_register){
        .client_id = {payload->client_id[0], payload->client_id[1]},
        .address = payload->address,
        .op = r->log.op + 1, /* of the open batch */
    };
}

/**
 * A Register that comes again opens one session, as long as its first is remembered: those that are
 * on their way when a client knows its session would evict others, which would do the same, and
 * nobody would keep one for as long as a request takes.
 *
 * Source: rules 4.1.3 and 5.3.
 */
static enum verdict judge_register(struct vsr_replica *r, const struct vsr_request *request,
                                   struct vsr_effects *out)
{
    const struct vsr_register *payload = (const struct vsr_register *)(const void *)(request + 1);
    uint32_t slot = vsr_client_table_slot_of(&r->clients, payload->client_id);

    VSR_ASSERT(request->payload_bytes == sizeof *payload);
    if (slot == UINT32_MAX) {
        const vsr_op op = logged_at(r, payload);
        VSR_ASSERT(op <= r->log.op + 1); /* in the log or the open batch */
        if (op == 0) return VERDICT_APPEND;
        drop(r, op > r->applied ? VSR_DROP_IN_LOG : VSR_DROP_EVICTED_SESSION);
        if (op <= r->applied) vsr_reply_register_evicted(r, payload, out);
        return VERDICT_DROP;
    }
    drop(r, vsr_client_table_at(&r->clients, slot)->address == payload->address
                ? VSR_DROP_ANSWERED
                : VSR_DROP_FOREIGN_ID);
    vsr_reply_registered(r, slot, payload->address, out);
    return VERDICT_DROP;
}

/** A Close ends its session whatever its number: its client has said its last word. */
static enum verdict judge_close(struct vsr_replica *r, vsr_address client,
                                const struct vsr_request *request, struct vsr_effects *out)
{
    const struct vsr_client_entry *entry =
        vsr_client_table_find(&r->clients, request->session, request->slot);

    if (entry != NULL && request->session != 0 && entry->address == client) return VERDICT_APPEND;
    if (request->session > r->applied) {
        drop(r, VSR_DROP_UNKNOWN_SESSION); /* Its Register may not be executed here yet. */
    } else {
        drop(r, VSR_DROP_EVICTED_SESSION);
        if (entry == NULL) vsr_reply_evicted(r, client, request, out);
    }
    return VERDICT_DROP;
}

/**
 * Appends the operations from `offset` on that need no more than that: each its session's next, all
 * of them fit in the open batch. They are judged one by one and copied together.
 *
 * Returns: where the first other request lies, or header->bytes.
 */
static uint32_t append_run(struct vsr_replica *r, const struct vsr_header *header, uint32_t offset)
{
    struct vsr_batch *batch = &r->batch;
    if (batch->buffer.header == NULL || batch->kind != VSR_KIND_OPERATION) return offset;

    uint8_t *const to = (uint8_t *)batch->buffer.header + batch->bytes;
    const uint32_t room = r->options.batch_bytes_max - batch->bytes;
    const uint32_t count_max = r->options.batch_requests_max - batch->count;
    const uint32_t left = header->bytes - offset;
    uint32_t run = 0;
    uint32_t count = 0;
    uint32_t size = 0;

    while (run < left && count < count_max) {
        const struct vsr_request *request = request_at(header, offset + run);
        const uint32_t bytes = request_bytes(request);
        struct vsr_client_entry *entry =
            vsr_client_table_find(&r->clients, request->session, request->slot);
        if (request->kind != VSR_KIND_OPERATION || run + bytes > room || entry == NULL ||
            !is_next(entry, request) || request->payload_bytes > r->options.op_bytes_max)
            break;
        __builtin_prefetch(to + run + WRITE_AHEAD, 1);
        entry->pending = request->number;
        run = step_over(run, bytes, &size);
        count++;
    }
    VSR_ASSERT(run <= left);
    VSR_ASSERT(run <= room);
    memcpy(to, request_at(header, offset), run);
    batch->bytes += run;
    batch->count += count;
    return offset + run;
}

/**
 * Admits the requests of a message from `offset` on.
 *
 * Returns: where it stopped for want of room; header->bytes when all are dealt with.
 */
static uint32_t admit_requests(struct vsr_replica *r, const struct vsr_header *header,
                               uint32_t offset, struct vsr_effects *out)
{
    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(offset >= sizeof *header);

    for (; offset < header->bytes; offset += request_bytes(request_at(header, offset))) {
        offset = append_run(r, header, offset);
        if (offset == header->bytes) break;
        const struct vsr_request *request = request_at(header, offset);
        struct vsr_client_entry *entry = NULL;
        enum verdict verdict;

        if (request->kind == VSR_KIND_REGISTER) {
            verdict = judge_register(r, request, out);
        } else if (request->kind == VSR_KIND_CLOSE) {
            verdict = judge_close(r, header->from, request, out);
        } else {
            entry = vsr_client_table_find(&r->clients, request->session, request->slot);
            verdict = judge_operation(r, header->from, request, entry, out);
        }
        if (verdict == VERDICT_WAIT) return offset;
        if (verdict == VERDICT_DROP) continue;
        if (request->payload_bytes > r->options.op_bytes_max && entry != NULL) {
            drop(r, VSR_DROP_TOO_LARGE);
            answer_status(r, header->from, request, VSR_REPLY_TOO_LARGE, out);
            continue;
        }
        if (!batch_append(r, request, out)) return offset;
        if (request->kind == VSR_KIND_REGISTER) note_register(r, request);
        /* With Qr = 1 that may have executed a batch, and a Register in it have taken the slot. */
        if (entry != NULL && entry->session == request->session) entry->pending = request->number;
    }
    return offset;
}

static void queue_drain(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_queue *queue = &r->queue;

    while (queue->count > 0) {
        struct vsr_waiting *first = &queue->ring[queue->head];
        VSR_ASSERT(first->buffer.header != NULL);
        first->offset = admit_requests(r, first->buffer.header, first->offset, out);
        if (first->offset < first->buffer.header->bytes) return;
        unref(r, &first->buffer);
        queue->head = (queue->head + 1) & queue->mask;
        queue->count--;
    }
}

static void answer_busy(struct vsr_replica *r, const struct vsr_header *header, uint32_t offset,
                        struct vsr_effects *out)
{
    VSR_ASSERT(r->queue.count == r->queue.mask + 1);
    for (; offset < header->bytes; offset += request_bytes(request_at(header, offset))) {
        const struct vsr_request *request = request_at(header, offset);
        drop(r, VSR_DROP_BUSY);
        /* A Register has no session to answer to; it is asked again anyhow. */
        if (request->kind != VSR_KIND_REGISTER)
            answer_status(r, header->from, request, VSR_REPLY_BUSY, out);
    }
}

/**
 * Admits a client's requests.
 *
 * Ownership: takes m when they have to wait.
 * Source:    VRR §4.1 steps 1-3.
 */
enum vsr_drop vsr_on_request(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_header *header = m->header;
    uint32_t offset = sizeof *header;

    /* A payload that is too large is not malformed: its client is to be told. */
    const struct vsr_request_bounds any = {.payload_bytes_max = UINT32_MAX, .kind = VSR_KIND_COUNT};
    if (!vsr_requests_are_well_formed(header, offset, any)) return VSR_DROP_MALFORMED;
    if (!is_primary(r)) return vsr_pass_on(r, header, out);
    VSR_ASSERT(is_serving(r));

    if (r->queue.count == 0) {
        offset = admit_requests(r, header, offset, out);
        if (offset == header->bytes) return VSR_DROP_NONE;
    }
    if (!vsr_queue_push(&r->queue, *m, offset)) {
        answer_busy(r, header, offset, out);
        return VSR_DROP_NONE; /* The requests have been counted one by one. */
    }
    m->header = NULL;
    return VSR_DROP_NONE;
}

void vsr_close_turn(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->queue.count <= r->queue.mask + 1);
    if (r->in_view.is_abdicating)
        return; /* What it prepared now would keep the backups from voting. */
    do {
        queue_drain(r, out);
        if (r->batch.buffer.header == NULL || !close_batch(r, out)) break;
    } while (r->queue.count > 0);
}
