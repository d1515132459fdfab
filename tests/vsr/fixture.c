/**
 * See fixture.h.
 */
#include "fixture.h"

#include <vsr/invariants.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct memory {
    long refs;
    long reserved[7];
    uint8_t bytes[];
};

long fixture_buffers_live;
long fixture_buffers_fail;

static bool take(void *context, uint32_t bytes, struct vsr_buffer *out)
{
    (void)context;
    if (fixture_buffers_fail > 0) {
        fixture_buffers_fail--;
        return false;
    }
    struct memory *m = malloc(sizeof *m + bytes);
    memset(m->bytes, 0xA5, bytes); /* the pool does not clear either */
    m->refs = 1;
    fixture_buffers_live++;
    *out = (struct vsr_buffer){.header = (struct vsr_header *)(void *)m->bytes, .handle = m};
    return true;
}

static void *ref(void *context, void *handle)
{
    (void)context;
    ((struct memory *)handle)->refs++;
    return handle;
}

static void unref_handle(void *context, void *handle)
{
    struct memory *m = handle;

    (void)context;
    cr_assert_gt(m->refs, 0);
    if (--m->refs > 0) return;
    fixture_buffers_live--;
    free(m);
}

const struct vsr_buffers fixture_buffers = {.take = take, .ref = ref, .unref = unref_handle};

struct vsr_buffer copy_of(struct vsr_buffer buffer)
{
    ref(NULL, buffer.handle);
    return buffer;
}

struct vsr_replica_options fixture_options(uint32_t replica_count, uint32_t replica)
{
    struct vsr_replica_options o;

    vsr_replica_options_init(&o);
    o.cluster = CLUSTER;
    o.replica_count = replica_count;
    o.replica = replica;
    o.sessions_max = 16;
    o.log_ops = 64;
    o.queue_max = 8;
    o.buffers = fixture_buffers;
    return o;
}

void fixture_clear(struct fixture *f)
{
    for (uint32_t i = 0; i < f->sent_count; i++)
        unref_handle(NULL, f->sent[i].buffer.handle);
    f->sent_count = 0;
    f->notice_count = 0;
}

/** Executes operations: each counts up the counter its payload names and returns the count. */
static void apply(struct fixture *f, const struct vsr_effect *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        uint64_t index = 0;
        memcpy(&index, e->operations[i].payload, 8);
        if (f->writes_payload) ((uint8_t *)(uintptr_t)e->operations[i].payload)[7] ^= 1;
        uint64_t value = ++f->counts[index % FIXTURE_COUNTERS];
        memcpy(e->operations[i].result->data, &value, 8);
        e->operations[i].result->bytes = 8;
        f->applied_requests++;
    }
    if (e->op < FIXTURE_OPS) f->executed[e->op] = vsr_replica_entry(f->r, e->op)->entry.checksum;
    f->applies++;
    f->timestamp = e->timestamp;
}

static bool write_blob(void *context, const void *bytes, size_t count)
{
    struct fixture_blob *blob = context;

    cr_assert_leq(blob->count + count, sizeof blob->bytes);
    memcpy(blob->bytes + blob->count, bytes, count);
    blob->count += count;
    return true;
}

static bool read_blob(void *context, void *bytes, size_t count)
{
    struct fixture_blob *blob = context;

    if (count > blob->count - blob->at) return false;
    memcpy(bytes, blob->bytes + blob->at, count);
    blob->at += count;
    return true;
}

static bool save(void *context, vsr_op op, struct vsr_snapshot *snapshot)
{
    struct fixture *f = context;

    f->kept.count = 0;
    cr_assert(vsr_replica_save(f->r, write_blob, &f->kept));
    write_blob(&f->kept, f->counts, sizeof f->counts);
    *snapshot = (struct vsr_snapshot){
        .op = op,
        .bytes = f->keeps_nothing ? 0 : f->kept.count,
        .id = vsr_snapshot_id(CLUSTER, f->kept.bytes, f->kept.count),
    };
    return true;
}

static bool load(void *context, const struct vsr_snapshot *snapshot, bool *is_loaded)
{
    struct fixture *f = context;

    f->incoming.at = 0;
    *is_loaded = f->incoming.count == snapshot->bytes &&
                 vsr_snapshot_id(CLUSTER, f->incoming.bytes, f->incoming.count) == snapshot->id;
    if (!*is_loaded) return true;
    cr_assert(vsr_replica_load(f->r, read_blob, &f->incoming));
    if (f->loads_refused > 0) { /* as a machine that does not understand them */
        f->loads_refused--;
        memset(f->counts, 0, sizeof f->counts);
        *is_loaded = false;
        return true;
    }
    cr_assert(read_blob(&f->incoming, f->counts, sizeof f->counts));
    f->kept = f->incoming;
    return true;
}

static void capture(struct fixture *f, struct sent sent)
{
    cr_assert_lt(f->sent_count, SENT_MAX);
    f->sent[f->sent_count++] = sent;
}

static void send(void *context, uint32_t to_mask, struct vsr_buffer buffer)
{
    capture(context, (struct sent){.buffer = buffer, .to = to_mask});
}

static void send_client(void *context, vsr_address address, struct vsr_buffer buffer)
{
    capture(context, (struct sent){.buffer = buffer, .address = address});
}

static bool apply_or_hold(void *context, const struct vsr_effect *e)
{
    struct fixture *f = context;

    apply(f, e);
    f->held_op = e->op;
    return !f->holds_apply;
}

static bool persist_or_hold(void *context, const struct vsr_effect *e)
{
    struct fixture *f = context;

    f->persists++;
    f->superblock = e->superblock;
    f->sequence = e->sequence;
    if (f->holds_persist) return false;
    f->durable = e->superblock;
    return true;
}

static void fill_chunk(void *context, const struct vsr_effect *e)
{
    const struct fixture *f = context;
    uint8_t *body = (uint8_t *)e->buffer.header + sizeof(struct vsr_chunk);

    memcpy(body, f->kept.bytes + e->chunk_offset, e->chunk_bytes);
}

static void store_chunk(void *context, const struct vsr_effect *e)
{
    struct fixture *f = context;

    if (e->chunk_offset == 0) f->incoming.count = 0;
    write_blob(&f->incoming, (const uint8_t *)e->buffer.header + sizeof(struct vsr_chunk),
               e->chunk_bytes);
}

static void notice(void *context, const struct vsr_effect *e)
{
    struct fixture *f = context;

    cr_assert_lt(f->notice_count, 64);
    f->notices[f->notice_count++] = e->notice;
    f->noticed_replica = e->replica;
}

static bool check(void *context)
{
    struct fixture *f = context;

    if (f->driver.count == 0) vsr_replica_check(f->r); /* else a snapshot may be half-way in */
    return true;
}

static const struct vsr_host host = {
    .send = send,
    .send_client = send_client,
    .apply = apply_or_hold,
    .persist = persist_or_hold,
    .save = save,
    .fill_chunk = fill_chunk,
    .store_chunk = store_chunk,
    .load = load,
    .notice = notice,
    .performed = check,
};

struct vsr_replica_report seen(const struct fixture *f)
{
    struct vsr_replica_report report;

    vsr_replica_report(f->r, &report);
    return report;
}

enum vsr_drop fixture_step(struct fixture *f, struct vsr_event event)
{
    fixture_clear(f);
    return vsr_driver_step(&f->driver, &event);
}

enum vsr_drop fixture_message(struct fixture *f, struct vsr_buffer m)
{
    return fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_MESSAGE, .message = m});
}

void fixture_persisted(struct fixture *f)
{
    f->durable = f->superblock;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_DURABLE, .sequence = f->sequence});
}

void fixture_turn_end(struct fixture *f)
{
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TURN_END});
}

void fixture_tick(struct fixture *f)
{
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK});
}

struct fixture *fixture_create(const struct vsr_replica_options *options)
{
    struct fixture *f = calloc(1, sizeof *f);

    cr_assert_eq(vsr_replica_options_check(options, NULL), 0);
    f->options = *options;
    cr_assert_eq(vsr_driver_create(&f->driver, options, &host, f), 0);
    f->r = f->driver.core;
    return f;
}

struct fixture *fixture_start(const struct vsr_replica_options *options)
{
    struct fixture *f = fixture_create(options);

    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_START});
    return f;
}

struct fixture *fixture_of(uint32_t replica_count, uint32_t replica)
{
    const struct vsr_replica_options o = fixture_options(replica_count, replica);

    return fixture_start(&o);
}

struct fixture *fixture_recover(const struct vsr_replica_options *options,
                                struct vsr_superblock superblock)
{
    struct vsr_replica_options o = *options;

    o.incarnation = superblock.incarnation + 1;
    struct fixture *f = fixture_create(&o);
    f->superblock = f->durable = superblock;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_RECOVER, .superblock = superblock});
    return f;
}

void fixture_free(struct fixture *f)
{
    fixture_clear(f);
    vsr_driver_destroy(&f->driver);
    free(f);
}

void fixture_end(struct fixture *f)
{
    fixture_free(f);
    cr_assert_eq(fixture_buffers_live, 0, "%ld buffers did not come back", fixture_buffers_live);
}

const struct vsr_header *fixture_sent(const struct fixture *f, enum vsr_message_type type,
                                      uint32_t nth)
{
    for (uint32_t i = 0; i < f->sent_count; i++)
        if (f->sent[i].buffer.header->type == type && nth-- == 0) return f->sent[i].buffer.header;
    return NULL;
}

uint32_t fixture_sent_count(const struct fixture *f, enum vsr_message_type type)
{
    uint32_t count = 0;
    while (fixture_sent(f, type, count) != NULL)
        count++;
    return count;
}

bool fixture_noticed(const struct fixture *f, enum vsr_notice notice)
{
    for (uint32_t i = 0; i < f->notice_count; i++)
        if (f->notices[i] == notice) return true;
    return false;
}

const struct vsr_reply *fixture_reply(const struct fixture *f, uint32_t nth)
{
    const struct vsr_header *m;

    for (uint32_t i = 0; (m = fixture_sent(f, VSR_REPLY, i)) != NULL; i++) {
        uint32_t offset = sizeof *m;
        for (uint32_t k = 0; k < m->count; k++) {
            const struct vsr_reply *reply =
                (const struct vsr_reply *)(const void *)((const uint8_t *)m + offset);
            if (nth-- == 0) return reply;
            offset += (uint32_t)sizeof *reply + VSR_PADDED(reply->payload_bytes);
        }
    }
    return NULL;
}

struct vsr_buffer make_header(const struct fixture *f, enum vsr_message_type type, uint32_t bytes,
                              uint64_t from)
{
    struct vsr_buffer b;

    cr_assert(take(NULL, bytes, &b));
    memset(b.header, 0, bytes);
    *b.header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = (uint8_t)type,
        .to = VSR_TO_ALL,
        .cluster = CLUSTER,
        .view = seen(f).view,
        .from = from,
        .bytes = bytes,
    };
    return b;
}

static void put_request(void *at, vsr_session session, uint32_t slot, uint64_t number,
                        uint64_t payload)
{
    struct vsr_request *request = at;

    *request = (struct vsr_request){
        .session = session, .number = number, .slot = slot, .payload_bytes = 8};
    memcpy(request + 1, &payload, 8);
}

static void put_register(void *at, uint64_t client_id)
{
    struct vsr_request *request = at;
    const struct vsr_register payload = {.client_id = {client_id, ~client_id}, .address = CLIENT};

    *request = (struct vsr_request){.kind = VSR_KIND_REGISTER, .payload_bytes = sizeof payload};
    memcpy(request + 1, &payload, sizeof payload);
}

struct vsr_buffer make_request(const struct fixture *f, vsr_session session, uint32_t slot,
                               uint64_t number, uint64_t payload)
{
    struct vsr_buffer b = make_header(
        f, VSR_REQUEST, sizeof(struct vsr_header) + sizeof(struct vsr_request) + 8, CLIENT);
    b.header->count = 1;
    put_request(b.header + 1, session, slot, number, payload);
    return b;
}

struct vsr_buffer make_register(const struct fixture *f, uint64_t client_id)
{
    struct vsr_buffer b = make_header(f, VSR_REQUEST,
                                      sizeof(struct vsr_header) + sizeof(struct vsr_request) +
                                          sizeof(struct vsr_register),
                                      CLIENT);
    b.header->count = 1;
    put_register(b.header + 1, client_id);
    return b;
}

static struct vsr_buffer make_entry(const struct fixture *f, const struct vsr_prepare *parent,
                                    uint32_t request_bytes, uint8_t kind)
{
    struct vsr_buffer b =
        make_header(f, VSR_PREPARE, (uint32_t)sizeof(struct vsr_prepare) + request_bytes,
                    primary_of(seen(f).view, f->options.replica_count));
    struct vsr_prepare *p = (struct vsr_prepare *)(void *)b.header;

    b.header->count = 1;
    p->entry.op = parent != NULL ? parent->entry.op + 1 : 1;
    p->entry.parent_checksum = parent != NULL ? parent->entry.checksum : 0;
    p->entry.view = seen(f).view;
    p->entry.kind = kind;
    return b;
}

struct vsr_buffer make_prepare(const struct fixture *f, const struct vsr_prepare *parent,
                               vsr_op commit, vsr_checksum commit_checksum, vsr_session session,
                               uint32_t slot, uint64_t number)
{
    struct vsr_buffer b = make_entry(f, parent, sizeof(struct vsr_request) + 8, VSR_KIND_OPERATION);
    struct vsr_prepare *p = (struct vsr_prepare *)(void *)b.header;

    p->commit = commit;
    p->commit_checksum = commit_checksum;
    put_request(p + 1, session, slot, number, number);
    p->entry.checksum = vsr_entry_checksum(p);
    return b;
}

struct vsr_buffer make_prepare_register(const struct fixture *f, const struct vsr_prepare *parent,
                                        uint64_t client_id)
{
    struct vsr_buffer b = make_entry(
        f, parent, sizeof(struct vsr_request) + sizeof(struct vsr_register), VSR_KIND_REGISTER);
    struct vsr_prepare *p = (struct vsr_prepare *)(void *)b.header;

    put_register(p + 1, client_id);
    p->entry.checksum = vsr_entry_checksum(p);
    return b;
}

struct vsr_buffer make_prepare_ok(const struct fixture *f, uint32_t from, vsr_op op)
{
    struct vsr_buffer b = make_header(f, VSR_PREPARE_OK, sizeof(struct vsr_prepare_ok), from);
    struct vsr_prepare_ok *ok = (struct vsr_prepare_ok *)(void *)b.header;

    ok->op = op;
    if ((vsr_replica_entry(f->r, op) != NULL))
        ok->checksum = vsr_replica_entry(f->r, op)->entry.checksum;
    return b;
}

struct vsr_buffer make_commit(const struct fixture *f, vsr_op commit, vsr_checksum checksum)
{
    struct vsr_buffer b = make_header(f, VSR_COMMIT, sizeof(struct vsr_commit),
                                      primary_of(seen(f).view, f->options.replica_count));
    struct vsr_commit *c = (struct vsr_commit *)(void *)b.header;

    c->commit = commit;
    c->commit_checksum = checksum;
    return b;
}

void acknowledge_all(struct fixture *f)
{
    uint32_t quorum = f->r->members.quorums.replication;

    for (uint32_t i = 1; i < quorum; i++)
        fixture_message(f, make_prepare_ok(f, i, seen(f).op));
}

uint32_t open_session(struct fixture *f, uint64_t client_id, vsr_session *session)
{
    const uint64_t id[2] = {client_id, ~client_id};

    fixture_message(f, make_register(f, client_id));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_turn_end(f);
    uint32_t slot = vsr_client_table_slot_of(&f->r->clients, id);
    cr_assert_neq(slot, UINT32_MAX);
    *session = vsr_client_table_at(&f->r->clients, slot)->session;
    return slot;
}
