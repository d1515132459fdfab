/**
 * See host.h.
 */
#include "host.h"

#include <vsr/invariants.h>
#include <vsr/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Buffers: each of exactly the bytes asked for, so that a step beyond the end is seen. */

struct memory {
    uint64_t refs;
    uint32_t bytes;
    uint8_t *message;
};

static long live;
static uint32_t failures_left;

static void require(bool is_so, const char *claim)
{
    if (is_so) return;
    fprintf(stderr, "fuzz: the replica broke its contract: %s\n", claim);
    abort();
}

static bool take(void *context, uint32_t bytes, struct vsr_buffer *out)
{
    (void)context;
    require(bytes >= sizeof(struct vsr_header) && bytes <= VSR_MESSAGE_BYTES_MAX,
            "it asks for a buffer of a message's size");
    if (failures_left > 0) {
        failures_left--;
        return false;
    }
    struct memory *m = malloc(sizeof *m);
    uint8_t *message = malloc(bytes);
    if (m == NULL || message == NULL) abort();
    memset(message, 0xA5, bytes); /* a pool does not clear either */
    *m = (struct memory){.refs = 1, .bytes = bytes, .message = message};
    live++;
    *out = (struct vsr_buffer){.header = (struct vsr_header *)(void *)message, .handle = m};
    return true;
}

static void *ref(void *context, void *handle)
{
    (void)context;
    ((struct memory *)handle)->refs++;
    return handle;
}

static void unref(void *context, void *handle)
{
    struct memory *m = handle;

    (void)context;
    require(m->refs > 0, "it gives back what it has");
    if (--m->refs > 0) return;
    live--;
    free(m->message);
    free(m);
}

struct vsr_buffer host_take(uint32_t bytes)
{
    const uint32_t failures = failures_left;
    struct vsr_buffer buffer;

    failures_left = 0;
    if (!take(NULL, bytes, &buffer)) abort();
    failures_left = failures;
    memset(buffer.header, 0, bytes);
    return buffer;
}

void host_drop(struct vsr_buffer buffer)
{
    unref(NULL, buffer.handle);
}

void host_fail_takes(uint32_t count)
{
    failures_left = count;
}

/* Snapshots. */

static bool write_blob(void *stream, const void *bytes, size_t count)
{
    struct host_blob *blob = stream;

    if (count > sizeof blob->bytes - blob->count) return false;
    memcpy(blob->bytes + blob->count, bytes, count);
    blob->count += count;
    return true;
}

static bool read_blob(void *stream, void *bytes, size_t count)
{
    struct host_blob *blob = stream;

    if (count > blob->count - blob->at) return false;
    memcpy(bytes, blob->bytes + blob->at, count);
    blob->at += count;
    return true;
}

static struct vsr_snapshot take_snapshot(const struct host *h, struct host_blob *blob, vsr_op op)
{
    blob->count = 0;
    if (!vsr_replica_save(h->driver.core, write_blob, blob) ||
        !write_blob(blob, h->counters, sizeof h->counters))
        return (struct vsr_snapshot){.op = op};
    return (struct vsr_snapshot){.op = op,
                                 .bytes = blob->count,
                                 .id = vsr_snapshot_id(HOST_CLUSTER, blob->bytes, blob->count)};
}

/** A snapshot whose id is right may hold anything: its bytes are for the replica to check. */
static bool take_over(struct host *h, const struct vsr_snapshot *snapshot)
{
    h->incoming.at = 0;
    if (h->incoming.count != snapshot->bytes ||
        vsr_snapshot_id(HOST_CLUSTER, h->incoming.bytes, h->incoming.count) != snapshot->id)
        return false;
    if (!vsr_replica_load(h->driver.core, read_blob, &h->incoming) ||
        !read_blob(&h->incoming, h->counters, sizeof h->counters))
        return false;
    h->kept = h->incoming;
    h->kept_snapshot = *snapshot;
    return true;
}

void host_offer(struct host *h, vsr_op op)
{
    /* A snapshot is of a state at rest; meanwhile the last one is offered again. */
    if (!h->has_apply) h->offered_snapshot = take_snapshot(h, &h->offered, op);
}

/* The peers' log. */

const struct vsr_prepare *host_entry(const struct host *h, vsr_op op)
{
    return op > 0 && op <= h->op ? h->entries[op] : NULL;
}

vsr_checksum host_checksum(const struct host *h, vsr_op op)
{
    const struct vsr_replica_report report = host_report(h);

    if (op == report.op) return report.head_checksum;
    return host_entry(h, op) != NULL ? host_entry(h, op)->entry.checksum : 0;
}

void host_note_entry(struct host *h, const struct vsr_prepare *entry)
{
    const vsr_op op = entry->entry.op;

    if (op == 0 || op >= HOST_OPS_MAX || op > h->op + 1) return;
    struct vsr_prepare *copy = malloc(entry->header.bytes);
    if (copy == NULL) abort();
    memcpy(copy, entry, entry->header.bytes);
    for (; h->op >= op; h->op--) {
        free(h->entries[h->op]);
        h->entries[h->op] = NULL;
    }
    h->entries[op] = copy;
    h->op = op;
}

/* Effects. */

/** What the replica says is a whole message of its own, every byte of which can be read. */
static void look_at_message(struct host *h, struct vsr_buffer buffer)
{
    const struct vsr_header *m = buffer.header;
    const struct memory *memory = buffer.handle;
    char line[256];

    require(m->magic == VSR_MAGIC && m->cluster == HOST_CLUSTER, "it sends messages of its own");
    require(m->bytes >= sizeof *m && m->bytes <= memory->bytes && m->bytes % 8 == 0,
            "a message that it sends lies in its buffer");
    if (!h->is_tracing) return;
    vsr_trace_message(line, sizeof line, m);
    printf("    sends %s\n", line);
}

/** The sessions that a Reply opens. */
static void note_sessions(struct host *h, const struct vsr_header *m)
{
    uint32_t offset = sizeof *m;

    for (uint32_t i = 0; i < m->count; i++) {
        require(m->bytes - offset >= sizeof(struct vsr_reply), "a Reply holds its replies");
        const struct vsr_reply *reply =
            (const struct vsr_reply *)(const void *)((const uint8_t *)m + offset);
        require(m->bytes - offset - sizeof *reply >= VSR_PADDED(reply->payload_bytes),
                "a Reply holds its results");
        offset += (uint32_t)sizeof *reply + VSR_PADDED(reply->payload_bytes);
        if (reply->number != 0 || reply->status != VSR_REPLY_OK) continue;
        h->sessions[h->session_count++ % HOST_SESSIONS] =
            (struct host_session){.session = reply->session, .slot = reply->slot};
    }
    require(offset == m->bytes, "a Reply holds nothing else");
}

static void note(struct host *h, const struct vsr_header *m)
{
    switch (m->type) {
    case VSR_GET_STATE:
        memcpy(&h->get_state, m, sizeof h->get_state);
        break;
    case VSR_GET_CHUNK:
        memcpy(&h->get_chunk, m, sizeof h->get_chunk);
        break;
    case VSR_RECOVERY:
        memcpy(&h->recovery, m, sizeof h->recovery);
        break;
    case VSR_PREPARE:
        host_note_entry(h, (const struct vsr_prepare *)(const void *)m);
        break;
    case VSR_REPLY:
        note_sessions(h, m);
        break;
    default:
        break;
    }
}

static void send(void *context, uint32_t to, struct vsr_buffer buffer)
{
    struct host *h = context;

    require(to != 0 && to >> h->options.replica_count == 0 && (to >> h->options.replica & 1) == 0,
            "it sends to other replicas of the cluster");
    look_at_message(h, buffer);
    note(h, buffer.header);
    host_drop(buffer);
}

static void send_client(void *context, vsr_address address, struct vsr_buffer buffer)
{
    (void)address;
    look_at_message(context, buffer);
    note(context, buffer.header);
    host_drop(buffer);
}

/** Each operation counts up a counter; all of its payload is read, all of its result written. */
static bool apply(void *context, const struct vsr_effect *e)
{
    struct host *h = context;

    require(!h->has_apply, "one op is applied at a time");
    require(e->count <= h->options.batch_requests_max, "an op holds no more than a batch");
    for (uint32_t i = 0; i < e->count; i++) {
        const struct vsr_operation *operation = &e->operations[i];
        uint64_t sum = 0;
        require(operation->payload_bytes <= h->options.op_bytes_max,
                "a payload is no longer than op_bytes_max");
        for (uint32_t k = 0; k < operation->payload_bytes; k++)
            sum = sum * 31 + ((const uint8_t *)operation->payload)[k];
        h->counters[sum % HOST_COUNTERS]++;
        operation->result->bytes = (uint32_t)(sum % (h->options.result_bytes_max + 1));
        memset(operation->result->data, (int)(sum & 0xFF), operation->result->bytes);
    }
    h->apply = e->op;
    h->has_apply = h->is_holding;
    return !h->is_holding;
}

static bool persist(void *context, const struct vsr_effect *e)
{
    struct host *h = context;

    require(!h->has_persist, "one superblock is written at a time");
    require(e->sequence > h->asked, "sequences rise, over all lives");
    h->persist = e->superblock;
    h->asked = e->sequence;
    h->has_persist = h->is_holding;
    if (!h->is_holding) h->durable = e->superblock;
    return !h->is_holding;
}

static bool save(void *context, vsr_op op, struct vsr_snapshot *snapshot)
{
    struct host *h = context;

    *snapshot = h->kept_snapshot = take_snapshot(h, &h->kept, op);
    return true;
}

static bool load(void *context, const struct vsr_snapshot *snapshot, bool *is_loaded)
{
    *is_loaded = take_over(context, snapshot);
    return true;
}

static void store_chunk(void *context, const struct vsr_effect *e)
{
    const struct memory *memory = e->buffer.handle;
    struct host *h = context;

    require(sizeof(struct vsr_chunk) + e->chunk_bytes <= memory->bytes,
            "a chunk lies in its buffer");
    if (e->chunk_offset == 0) h->incoming.count = 0;
    write_blob(&h->incoming, (const uint8_t *)e->buffer.header + sizeof(struct vsr_chunk),
               e->chunk_bytes);
}

static void fill_chunk(void *context, const struct vsr_effect *e)
{
    const struct memory *memory = e->buffer.handle;
    const struct host *h = context;

    require(sizeof(struct vsr_chunk) + e->chunk_bytes <= memory->bytes,
            "a chunk lies in its buffer");
    require(e->chunk_bytes <= h->kept.count && e->chunk_offset <= h->kept.count - e->chunk_bytes,
            "a chunk is a part of the snapshot that is kept");
    memcpy((uint8_t *)e->buffer.header + sizeof(struct vsr_chunk), h->kept.bytes + e->chunk_offset,
           e->chunk_bytes);
}

static void notice(void *context, const struct vsr_effect *e)
{
    const struct host *h = context;
    if (h->is_tracing) printf("    notice: %s\n", vsr_notice_text(e->notice));
}

static void stepped(void *context, const struct vsr_event *event, enum vsr_drop why)
{
    const struct host *h = context;

    require(h->driver.effects.count <= h->driver.effects.capacity,
            "a step has no more effects than it said");
    if (h->is_tracing && event->kind == VSR_EVENT_MESSAGE) printf("    %s\n", vsr_drop_name(why));
}

static bool performed(void *context)
{
    const struct host *h = context;

    if (h->driver.count == 0) vsr_replica_check(h->driver.core); /* else one may be half-way in */
    return true;
}

static const struct vsr_host behaviour = {
    .send = send,
    .send_client = send_client,
    .apply = apply,
    .persist = persist,
    .save = save,
    .fill_chunk = fill_chunk,
    .store_chunk = store_chunk,
    .load = load,
    .notice = notice,
    .stepped = stepped,
    .performed = performed,
};

/** Takes a completion that waits. Returns false when there is none. */
static bool next_completion(struct host *h, struct vsr_event *event)
{
    if (h->has_persist) {
        *event = (struct vsr_event){.kind = VSR_EVENT_DURABLE, .sequence = h->asked};
        h->durable = h->persist;
        h->has_persist = false;
        return true;
    }
    if (!h->has_apply) return false;
    *event = (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = h->apply};
    h->has_apply = false;
    return true;
}

void host_complete(struct host *h)
{
    struct vsr_event event;

    /* An op may bring the next one; a log is bounded, and so is this. */
    while (next_completion(h, &event)) {
        vsr_driver_step(&h->driver, &event);
        if (event.kind == VSR_EVENT_DURABLE)
            require(vsr_driver_step(&h->driver, &event) == VSR_DROP_STALE,
                    "the answer to an older sequence changes nothing");
    }
}

void host_step(struct host *h, struct vsr_event event)
{
    vsr_driver_step(&h->driver, &event);
    if (!h->is_holding) host_complete(h);
}

void host_deliver(struct host *h, struct vsr_buffer message)
{
    const struct vsr_header *m = message.header;

    if (h->is_tracing)
        printf("%s from %llu to %u, view %llu, epoch %u, %u bytes, count %u\n",
               vsr_message_name(m->type), (unsigned long long)m->from, m->to,
               (unsigned long long)m->view, m->epoch, m->bytes, m->count);
    host_step(h, (struct vsr_event){.kind = VSR_EVENT_MESSAGE, .message = message});
}

struct vsr_replica_report host_report(const struct host *h)
{
    struct vsr_replica_report report;

    vsr_replica_report(h->driver.core, &report);
    return report;
}

/* Lives. */

struct vsr_replica_options host_options(uint32_t replica_count, uint32_t replica)
{
    struct vsr_replica_options o;

    vsr_replica_options_init(&o);
    o.cluster = HOST_CLUSTER;
    o.replica_count = replica_count;
    o.replica = replica;
    o.sessions_max = HOST_SESSIONS;
    o.op_bytes_max = 64;
    o.log_ops = 16;
    o.pipeline_max = 4;
    o.batch_bytes_max = 512;
    o.batch_requests_max = 4;
    o.reply_bytes_max = 256;
    o.queue_max = 4;
    o.heartbeat_ticks = 2;
    o.resend_ticks = 3;
    o.suspect_ticks = 8;
    o.abdicate_ticks = 12;
    o.chunk_bytes_max = 1024;
    o.buffers = (struct vsr_buffers){.take = take, .ref = ref, .unref = unref};
    return o;
}

void host_init(struct host *h, const struct vsr_replica_options *options)
{
    h->options = *options;
    if (vsr_replica_options_check(options, NULL) != 0) abort();
    if (vsr_driver_create(&h->driver, options, &behaviour, h) != 0) abort();
}

void host_crash(struct host *h)
{
    vsr_driver_destroy(&h->driver);
    h->options.incarnation++;
    h->has_persist = h->has_apply = h->is_holding = false;
    memset(h->counters, 0, sizeof h->counters);
    host_init(h, &h->options);
    /* Whatever was never durable has never been said: then this is the first life. */
    host_step(h, h->durable.incarnation == 0
                     ? (struct vsr_event){.kind = VSR_EVENT_START}
                     : (struct vsr_event){.kind = VSR_EVENT_RECOVER, .superblock = h->durable});
}

void host_deinit(struct host *h)
{
    vsr_driver_destroy(&h->driver);
    for (vsr_op op = 0; op <= h->op; op++)
        free(h->entries[op]);
    failures_left = 0;
    require(live == 0, "every buffer comes back");
}
