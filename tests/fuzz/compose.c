/**
 * See compose.h.
 */
#include "compose.h"

#include "log.h"
#include "quorum.h"

#include <string.h>

#define BODY(buffer, type) ((struct type *)(void *)(buffer).header)

enum { CLIENT_ADDRESS = 0xC11E47, PAYLOAD_MAX = 80, REQUESTS_MAX = 6, MUTATIONS_MAX = 4 };

/* What is sound. */

static uint32_t primary(const struct host *h, uint64_t view)
{
    return primary_of(view, h->options.replica_count);
}

/** Another replica than ours. */
static uint32_t other(const struct host *h, uint8_t n)
{
    const uint32_t count = h->options.replica_count;
    return count == 1 ? 0 : (h->options.replica + 1 + n % (count - 1)) % count;
}

static struct vsr_buffer make(enum vsr_message_type type, uint32_t bytes, uint64_t from,
                              uint64_t view)
{
    struct vsr_buffer m = host_take(bytes);

    *m.header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = (uint8_t)type,
        .to = VSR_TO_ALL,
        .cluster = HOST_CLUSTER,
        .view = view,
        .from = from,
        .bytes = bytes,
    };
    return m;
}

/** Requests behind each other. Returns their bytes. */
static uint32_t put_requests(struct host *h, struct bytes *b, uint8_t *at, uint32_t count,
                             bool is_register)
{
    uint8_t *const start = at;

    for (uint32_t i = 0; i < count; i++) {
        struct vsr_request *request = (struct vsr_request *)(void *)at;
        const uint8_t choice = bytes_take(b);
        if (is_register != (choice >= 0xF8)) { /* now and then the other kind */
            const struct vsr_register payload = {.client_id = {choice % 16u, ~(choice % 16ull)},
                                                 .address = CLIENT_ADDRESS + choice % 3u};
            *request =
                (struct vsr_request){.kind = VSR_KIND_REGISTER, .payload_bytes = sizeof payload};
            memcpy(request + 1, &payload, sizeof payload);
        } else {
            struct host_session *s = &h->sessions[choice % HOST_SESSIONS];
            *request = (struct vsr_request){
                .session = s->session,
                .number = choice >= 0xC0 ? s->number : ++s->number,
                .slot = s->slot,
                .payload_bytes = (uint16_t)(choice % PAYLOAD_MAX),
            };
            memset(request + 1, choice, request->payload_bytes);
        }
        at += sizeof *request + VSR_PADDED(request->payload_bytes);
    }
    return (uint32_t)(at - start);
}

enum { REQUESTS_BYTES = REQUESTS_MAX * (sizeof(struct vsr_request) + PAYLOAD_MAX + 8) };

static struct vsr_buffer compose_request(struct host *h, struct bytes *b)
{
    uint64_t requests[REQUESTS_BYTES / 8] = {0};
    const uint8_t choice = bytes_take(b);
    const uint32_t count = choice % REQUESTS_MAX;
    const uint32_t bytes = put_requests(h, b, (uint8_t *)requests, count, choice >= 0x80);
    struct vsr_buffer m =
        make(VSR_REQUEST, (uint32_t)sizeof *m.header + bytes, CLIENT_ADDRESS + choice % 3u, 0);

    m.header->count = count;
    memcpy(m.header + 1, requests, bytes);
    return m;
}

struct vsr_buffer compose_prepare(struct host *h, vsr_op op, struct bytes *b)
{
    const struct vsr_replica_report report = host_report(h);
    const struct vsr_prepare *held = host_entry(h, op);
    uint64_t requests[REQUESTS_BYTES / 8] = {0};
    const uint8_t choice = bytes_take(b);
    struct vsr_buffer m;

    if (held != NULL && choice < 0xC0 && held->entry.parent_checksum == host_checksum(h, op - 1)) {
        m = make(VSR_PREPARE, held->header.bytes, 0, 0);
        memcpy(m.header, held, held->header.bytes);
    } else {
        const bool is_register = h->session_count == 0 || choice % 8 == 0;
        const uint32_t count = 1 + choice % 3;
        const uint32_t bytes = put_requests(h, b, (uint8_t *)requests, count, is_register);
        m = make(VSR_PREPARE, (uint32_t)sizeof(struct vsr_prepare) + bytes, primary(h, report.view),
                 report.view);
        m.header->count = count;
        BODY(m, vsr_prepare)->entry = (struct vsr_entry){
            .op = op,
            .view = report.view,
            .parent_checksum = host_checksum(h, op - 1),
            .timestamp = op,
            .kind = is_register ? VSR_KIND_REGISTER : VSR_KIND_OPERATION,
        };
        memcpy(BODY(m, vsr_prepare) + 1, requests, bytes);
        BODY(m, vsr_prepare)->entry.checksum = vsr_entry_checksum(BODY(m, vsr_prepare));
        host_note_entry(h, BODY(m, vsr_prepare));
    }
    m.header->view = report.view;
    m.header->from = primary(h, report.view);
    BODY(m, vsr_prepare)->commit = op - 1 < report.op ? op - 1 : report.op;
    BODY(m, vsr_prepare)->commit_checksum = host_checksum(h, BODY(m, vsr_prepare)->commit);
    BODY(m, vsr_prepare)->released = 0;
    return m;
}

/** An answer to the replica's last GetState: entries of the peers' log, or that they are gone. */
static struct vsr_buffer compose_new_state(struct host *h, uint32_t from, uint64_t view)
{
    const vsr_op base = h->get_state.from_op;
    vsr_op end = base;
    uint32_t bytes = sizeof(struct vsr_new_state);

    while (host_entry(h, end + 1) != NULL && end - base < 4)
        bytes += host_entry(h, ++end)->header.bytes;
    struct vsr_buffer m = make(VSR_NEW_STATE, bytes, from, view);
    struct vsr_new_state *state = BODY(m, vsr_new_state);
    uint8_t *at = (uint8_t *)(state + 1);
    for (vsr_op op = base + 1; op <= end; op++) {
        memcpy(at, host_entry(h, op), host_entry(h, op)->header.bytes);
        at += host_entry(h, op)->header.bytes;
    }
    state->header.count = (uint32_t)(end - base);
    state->nonce = h->get_state.nonce;
    state->base = base;
    state->end = end;
    state->op = h->op > end ? h->op : end;
    state->checksum = host_checksum(h, state->op);
    state->commit = end;
    state->commit_checksum = host_checksum(h, end);
    return m;
}

/** An answer to its last GetChunk: the next part of the snapshot that is offered. */
static struct vsr_buffer compose_chunk(struct host *h, uint32_t from, uint64_t view)
{
    const struct vsr_snapshot *s = &h->offered_snapshot;
    const uint64_t at = h->get_chunk.offset < s->bytes ? h->get_chunk.offset : 0;
    const uint32_t count =
        (uint32_t)(s->bytes - at < h->options.chunk_bytes_max ? s->bytes - at
                                                              : h->options.chunk_bytes_max);
    struct vsr_buffer m =
        make(VSR_CHUNK, (uint32_t)sizeof(struct vsr_chunk) + VSR_PADDED(count), from, view);
    struct vsr_chunk *chunk = BODY(m, vsr_chunk);

    chunk->header.count = count;
    chunk->nonce = h->get_chunk.nonce;
    chunk->checkpoint_op = s->op;
    chunk->checkpoint_id = s->id;
    chunk->checkpoint_checksum = host_checksum(h, s->op);
    chunk->snapshot_bytes = s->bytes;
    chunk->offset = at;
    memcpy(chunk + 1, h->offered.bytes + at, count);
    return m;
}

/* Each type's body, when its size is fixed. */

static void fill_log(struct host *h, uint64_t *op, uint64_t *checksum, uint64_t *commit,
                     uint64_t *commit_checksum)
{
    const struct vsr_replica_report report = host_report(h);

    *op = h->op > report.op ? h->op : report.op;
    *checksum = host_checksum(h, *op);
    *commit = report.commit;
    *commit_checksum = host_checksum(h, report.commit);
}

static void fill_prepare_ok(struct host *h, struct vsr_buffer m)
{
    const struct vsr_replica_report report = host_report(h);
    struct vsr_prepare_ok *ok = BODY(m, vsr_prepare_ok);

    ok->op = report.op;
    ok->checksum = report.head_checksum;
    ok->applied = report.applied;
}

/** All that the replica has is committed, and there may be more. */
static void fill_commit(struct host *h, struct vsr_buffer m)
{
    const struct vsr_replica_report report = host_report(h);
    struct vsr_commit *commit = BODY(m, vsr_commit);

    commit->commit = report.op;
    commit->commit_checksum = report.head_checksum;
    commit->released = report.applied;
    commit->sequence = ++h->sequence;
    commit->op = h->op > report.op ? h->op : report.op;
    commit->op_checksum = host_checksum(h, commit->op);
}

static void fill_commit_ok(struct host *h, struct vsr_buffer m)
{
    const struct vsr_replica_report report = host_report(h);
    struct vsr_commit_ok *ok = BODY(m, vsr_commit_ok);

    ok->sequence = h->sequence;
    ok->op = report.op;
    ok->applied = report.applied;
    ok->is_full = h->sequence % 2;
}

static void fill_get_state(struct host *h, struct vsr_buffer m)
{
    const struct vsr_replica_report report = host_report(h);
    struct vsr_get_state *get = BODY(m, vsr_get_state);

    get->from_op = report.log_start + (report.op - report.log_start) / 2;
    get->from_checksum = host_checksum(h, get->from_op);
    get->nonce = 1;
    get->flags = VSR_GET_TRANSFER;
    if (report.status != VSR_STATUS_NORMAL) get->flags |= VSR_GET_SELECTED;
}

static void fill_vote(struct host *h, struct vsr_buffer m)
{
    (void)h;
    BODY(m, vsr_start_view_change)->target = m.header->view + 1;
}

static void fill_do_view_change(struct host *h, struct vsr_buffer m)
{
    const uint64_t log_view = host_report(h).log_view;
    struct vsr_do_view_change *do_view_change = BODY(m, vsr_do_view_change);

    fill_log(h, &do_view_change->op, &do_view_change->checksum, &do_view_change->commit,
             &do_view_change->commit_checksum);
    do_view_change->log_view = log_view < m.header->view ? log_view : m.header->view - 1;
}

static void fill_start_view(struct host *h, struct vsr_buffer m)
{
    struct vsr_start_view *start_view = BODY(m, vsr_start_view);
    fill_log(h, &start_view->op, &start_view->checksum, &start_view->commit,
             &start_view->commit_checksum);
}

static void fill_recovery(struct host *h, struct vsr_buffer m)
{
    (void)h;
    BODY(m, vsr_recovery)->nonce = 1;
    BODY(m, vsr_recovery)->way = VSR_WAY_ROUND;
}

static void fill_recovery_response(struct host *h, struct vsr_buffer m)
{
    struct vsr_recovery_response *answer = BODY(m, vsr_recovery_response);

    fill_log(h, &answer->op, &answer->checksum, &answer->commit, &answer->commit_checksum);
    answer->nonce = h->recovery.nonce;
    answer->asker = h->options.replica;
}

static void fill_get_chunk(struct host *h, struct vsr_buffer m)
{
    struct vsr_get_chunk *get = BODY(m, vsr_get_chunk);

    get->nonce = 1;
    get->checkpoint_op = h->kept_snapshot.op;
    get->checkpoint_id = h->kept_snapshot.id;
}

static void fill_nothing(struct host *h, struct vsr_buffer m)
{
    (void)h, (void)m;
}

static void fill_pong(struct host *h, struct vsr_buffer m)
{
    struct vsr_pong *pong = BODY(m, vsr_pong);
    uint64_t checksum;
    fill_log(h, &pong->op, &checksum, &pong->commit, &pong->commit_checksum);
}

/** The types that are sent to replicas: size, what is sound, whether only a primary sends them. */
static const struct sent_type {
    enum vsr_message_type type;
    uint32_t bytes;
    void (*fill)(struct host *, struct vsr_buffer); /* NULL: made from bytes, of many sizes */
    bool is_from_primary;
} types[] = {
    {VSR_REQUEST, 0, NULL, false},
    {VSR_PREPARE, 0, NULL, true},
    {VSR_PREPARE_OK, sizeof(struct vsr_prepare_ok), fill_prepare_ok, false},
    {VSR_COMMIT, sizeof(struct vsr_commit), fill_commit, true},
    {VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), fill_commit_ok, false},
    {VSR_GET_STATE, sizeof(struct vsr_get_state), fill_get_state, false},
    {VSR_NEW_STATE, 0, NULL, false},
    {VSR_START_VIEW_CHANGE, sizeof(struct vsr_start_view_change), fill_vote, false},
    {VSR_DO_VIEW_CHANGE, sizeof(struct vsr_do_view_change), fill_do_view_change, false},
    {VSR_START_VIEW, sizeof(struct vsr_start_view), fill_start_view, true},
    {VSR_RECOVERY, sizeof(struct vsr_recovery), fill_recovery, false},
    {VSR_RECOVERY_RESPONSE, sizeof(struct vsr_recovery_response), fill_recovery_response, false},
    {VSR_GET_CHUNK, sizeof(struct vsr_get_chunk), fill_get_chunk, false},
    {VSR_CHUNK, 0, NULL, false},
    {VSR_PING, sizeof(struct vsr_header), fill_nothing, false},
    {VSR_PONG, sizeof(struct vsr_pong), fill_pong, false},
    {VSR_AWAY, sizeof(struct vsr_header), fill_nothing, false},
};

enum { TYPES = sizeof types / sizeof types[0] };

enum vsr_message_type compose_type(uint8_t n)
{
    /* Away says little: one message in 64, so that the others stay what they were. */
    return n % 64 == 63 ? VSR_AWAY : types[n % (TYPES - 1)].type;
}

static const struct sent_type *row_of(enum vsr_message_type type)
{
    for (uint32_t i = 0; i < TYPES; i++)
        if (types[i].type == type) return &types[i];
    return &types[0];
}

struct vsr_buffer compose_sound(struct host *h, enum vsr_message_type type, uint32_t from,
                                uint64_t view)
{
    if (type == VSR_NEW_STATE) return compose_new_state(h, from, view);
    if (type == VSR_CHUNK) return compose_chunk(h, from, view);
    const struct sent_type *row = row_of(type);
    struct vsr_buffer m = make(type, row->bytes, from, view);
    row->fill(h, m);
    return m;
}

/* What is changed. */

/** How many fields to change: mostly none. */
static uint32_t choose_mutations(uint8_t choice)
{
    return choice < 0x60 ? 0 : 1 + choice % MUTATIONS_MAX;
}

/** A number near one that means something. */
static uint64_t change(const struct host *h, uint64_t old, struct bytes *b)
{
    const struct vsr_replica_report report = host_report(h);
    const uint8_t choice = bytes_take(b);

    switch (choice % 16) {
    case 0:
        return 0;
    case 1:
        return old + 1;
    case 2:
        return old - 1;
    case 3:
        return UINT64_MAX;
    case 4:
        return UINT32_MAX;
    case 5:
        return 1ull << 63;
    case 6:
        return old + bytes_take(b);
    case 7:
        return old - bytes_take(b);
    case 8:
        return bytes_take(b);
    case 9:
        return bytes_take_number(b, 8);
    case 10:
        return old ^ 1ull << bytes_take(b) % 64;
    case 11:
        return report.op + bytes_take(b) % 8;
    case 12:
        return report.commit + bytes_take(b) % 8;
    case 13:
        return report.view + bytes_take(b) % 8;
    case 14:
        return host_checksum(h, bytes_take(b));
    default:
        return report.head_checksum;
    }
}

/**
 * Changes a field of 1, 2, 4 or 8 bytes, at a multiple of its size. Seldom one of the first 16
 * bytes: with another magic or cluster a message gets nowhere.
 */
static void mutate_field(const struct host *h, uint8_t *at, uint32_t bytes, struct bytes *b)
{
    const uint8_t choice = bytes_take(b);
    const uint32_t width = 1u << choice % 4;
    const uint32_t first = choice >= 0xF0 || bytes <= 16 ? 0 : 16;
    const uint32_t places = (bytes - first) / width;
    const uint32_t place = first + (uint32_t)bytes_take_number(b, 2) % places * width;
    uint64_t value = 0;

    memcpy(&value, at + place, width);
    value = change(h, value, b);
    memcpy(at + place, &value, width);
}

/** The checksums of entries are right whatever is in them: a liar can add up. */
static void seal(struct vsr_header *m, uint32_t bytes)
{
    uint32_t offset = m->type == VSR_NEW_STATE ? (uint32_t)sizeof(struct vsr_new_state) : 0;

    if (m->type != VSR_PREPARE && m->type != VSR_NEW_STATE) return;
    while (offset + sizeof(struct vsr_prepare) <= bytes) {
        struct vsr_prepare *p = (struct vsr_prepare *)(void *)((uint8_t *)m + offset);
        if (p->header.bytes < sizeof *p || p->header.bytes > bytes - offset ||
            p->header.bytes % 8 != 0)
            return;
        p->entry.checksum = vsr_entry_checksum(p);
        offset += p->header.bytes;
    }
}

/** A transport gives what it has read: header.bytes bytes, whatever they say. */
static struct vsr_buffer resize(struct vsr_buffer m, uint32_t had)
{
    const uint32_t says = m.header->bytes;
    uint32_t bytes = says < sizeof *m.header ? (uint32_t)sizeof *m.header : says;

    if (bytes > VSR_MESSAGE_BYTES_MAX) bytes = (uint32_t)sizeof *m.header; /* nobody reads it */
    if (bytes == had) return m;
    struct vsr_buffer resized = host_take(bytes);
    memcpy(resized.header, m.header, bytes < had ? bytes : had);
    host_drop(m);
    return resized;
}

static struct vsr_buffer mutate(struct host *h, struct vsr_buffer m, struct bytes *b)
{
    const uint32_t had = m.header->bytes;
    const uint8_t choice = bytes_take(b);

    for (uint32_t left = choose_mutations(choice); left > 0; left--)
        mutate_field(h, (uint8_t *)m.header, had, b);
    if (choice >= 0x80) seal(m.header, had);
    return resize(m, had);
}

static uint64_t choose_view(const struct host *h, uint8_t choice)
{
    const uint64_t view = host_report(h).view;

    if (choice < 0xA0) return view;
    if (choice < 0xD0) return view + 1;
    if (choice < 0xE8) return view + 2;
    return choice < 0xF0 && view > 0 ? view - 1 : view + choice % 16;
}

struct vsr_buffer compose(struct host *h, enum vsr_message_type type, struct bytes *b)
{
    struct vsr_buffer m;

    if (type == VSR_REQUEST) {
        m = compose_request(h, b);
    } else if (type == VSR_PREPARE) {
        m = compose_prepare(h, host_report(h).op + 1 + bytes_take(b) % 4, b);
        const uint64_t view = choose_view(h, bytes_take(b));
        m.header->view = view;
        m.header->from = primary(h, view);
    } else {
        const uint64_t view = choose_view(h, bytes_take(b));
        const uint32_t from =
            row_of(type)->is_from_primary ? primary(h, view) : other(h, bytes_take(b));
        m = compose_sound(h, type, from, view);
    }
    return mutate(h, m, b);
}

void compose_damage_offer(struct host *h, struct bytes *b)
{
    const uint8_t choice = bytes_take(b);
    struct host_blob *blob = &h->offered;

    if (blob->count < 8) return;
    for (uint32_t left = choose_mutations(choice); left > 0; left--)
        mutate_field(h, blob->bytes, (uint32_t)blob->count & ~7u, b);
    h->offered_snapshot.id = vsr_snapshot_id(HOST_CLUSTER, blob->bytes, blob->count);
}
