/**
 * See messages.h.
 */
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

static struct vsr_buffer make_entry(const struct chain *c, uint32_t bytes)
{
    struct vsr_buffer b;

    cr_assert(fixture_buffers.take(NULL, (uint32_t)sizeof(struct vsr_prepare) + bytes, &b));
    memset(b.header, 0, sizeof(struct vsr_prepare) + bytes);
    *b.header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = VSR_PREPARE,
        .to = VSR_TO_ALL,
        .cluster = CLUSTER,
        .bytes = (uint32_t)sizeof(struct vsr_prepare) + bytes,
        .count = 1,
    };
    BODY(b, vsr_prepare)->entry.op = c->op + 1;
    BODY(b, vsr_prepare)->entry.parent_checksum = chain_checksum(c, c->op);
    return b;
}

void chain_append(struct chain *c, vsr_view view, uint64_t variant)
{
    const bool is_first = c->op == 0;
    const struct vsr_register opening = {.client_id = {9, ~9ull}, .address = CLIENT};
    struct vsr_buffer b = make_entry(c, (uint32_t)sizeof(struct vsr_request) +
                                            (is_first ? (uint32_t)sizeof opening : 8));
    struct vsr_prepare *p = BODY(b, vsr_prepare);
    struct vsr_request *request = (struct vsr_request *)(void *)(p + 1);

    cr_assert_lt(c->op, CHAIN_MAX);
    b.header->view = view;
    b.header->from = primary_of(view, c->replica_count);
    p->entry.view = view;
    p->entry.timestamp = variant;
    if (is_first) {
        p->entry.kind = request->kind = VSR_KIND_REGISTER;
        request->payload_bytes = sizeof opening;
        memcpy(request + 1, &opening, sizeof opening);
    } else {
        *request = (struct vsr_request){.session = 1, .number = c->op, .payload_bytes = 8};
    }
    p->entry.checksum = vsr_entry_checksum(p);
    c->entry[++c->op] = b;
}

struct chain chain_make(uint32_t replica_count, vsr_op op)
{
    struct chain c = {.replica_count = replica_count};

    while (c.op < op)
        chain_append(&c, 0, 0);
    return c;
}

struct chain chain_fork(const struct chain *c, vsr_op op)
{
    struct chain fork = {.replica_count = c->replica_count, .op = op};

    for (vsr_op i = 1; i <= op; i++)
        fork.entry[i] = copy_of(c->entry[i]);
    return fork;
}

void chain_free(struct chain *c)
{
    for (; c->op > 0; c->op--)
        fixture_buffers.unref(NULL, c->entry[c->op].handle);
}

vsr_checksum chain_checksum(const struct chain *c, vsr_op op)
{
    return op == 0 ? 0 : log_prepare(&c->entry[op])->entry.checksum;
}

void chain_feed(struct fixture *f, const struct chain *c, vsr_op op, vsr_op commit)
{
    for (vsr_op i = 1; i <= op; i++)
        fixture_message(f, copy_of(c->entry[i]));
    fixture_message(f, make_commit(f, commit, chain_checksum(c, commit)));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, op);
    cr_assert_eq(seen(f).commit, commit);
}

struct fixture *chain_backup(const struct chain *c, vsr_op op, vsr_op commit)
{
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, c, op, commit);
    return f;
}

bool chain_is_log(const struct chain *c, const struct fixture *f, vsr_op op)
{
    return seen(f).op == op && seen(f).head_checksum == chain_checksum(c, op);
}

struct vsr_buffer make_vote(const struct fixture *f, uint32_t from, vsr_view target)
{
    struct vsr_buffer b =
        make_header(f, VSR_START_VIEW_CHANGE, sizeof(struct vsr_start_view_change), from);

    b.header->view = target - 1;
    BODY(b, vsr_start_view_change)->target = target;
    return b;
}

struct vsr_buffer make_do_view_change(const struct fixture *f, uint32_t from, vsr_view view,
                                      vsr_view log_view, const struct chain *c, vsr_op op,
                                      vsr_op commit)
{
    struct vsr_buffer b =
        make_header(f, VSR_DO_VIEW_CHANGE, sizeof(struct vsr_do_view_change), from);
    struct vsr_do_view_change *do_view_change = BODY(b, vsr_do_view_change);

    b.header->view = view;
    do_view_change->log_view = log_view;
    do_view_change->op = op;
    do_view_change->checksum = chain_checksum(c, op);
    do_view_change->commit = commit;
    do_view_change->commit_checksum = chain_checksum(c, commit);
    return b;
}

struct vsr_buffer make_start_view(const struct fixture *f, vsr_view view, const struct chain *c,
                                  vsr_op op, vsr_op commit)
{
    struct vsr_buffer b = make_header(f, VSR_START_VIEW, sizeof(struct vsr_start_view),
                                      primary_of(view, f->options.replica_count));
    struct vsr_start_view *start_view = BODY(b, vsr_start_view);

    b.header->view = view;
    start_view->op = op;
    start_view->checksum = chain_checksum(c, op);
    start_view->commit = commit;
    start_view->commit_checksum = chain_checksum(c, commit);
    return b;
}

struct vsr_buffer make_get_state(const struct fixture *f, uint32_t from, const struct chain *c,
                                 vsr_op op, vsr_op commit, uint32_t flags)
{
    struct vsr_buffer b = make_header(f, VSR_GET_STATE, sizeof(struct vsr_get_state), from);
    struct vsr_get_state *get = BODY(b, vsr_get_state);

    get->from_op = op;
    get->from_checksum = chain_checksum(c, op);
    get->commit = commit;
    get->nonce = 4711;
    get->flags = flags;
    return b;
}

struct vsr_buffer make_new_state(const struct fixture *f, uint32_t from, const struct chain *c,
                                 vsr_op base, vsr_op end, vsr_op op, vsr_op commit)
{
    uint32_t bytes = sizeof(struct vsr_new_state);
    for (vsr_op i = base + 1; i <= end; i++)
        bytes += c->entry[i].header->bytes;
    struct vsr_buffer b = make_header(f, VSR_NEW_STATE, bytes, from);
    struct vsr_new_state *state = BODY(b, vsr_new_state);
    uint8_t *at = (uint8_t *)(state + 1);

    for (vsr_op i = base + 1; i <= end; i++) {
        memcpy(at, c->entry[i].header, c->entry[i].header->bytes);
        at += c->entry[i].header->bytes;
        state->header.count++;
    }
    state->nonce = f->r->nonce;
    state->base = base;
    state->end = end;
    state->op = op;
    state->checksum = chain_checksum(c, op);
    state->commit = commit;
    state->commit_checksum = chain_checksum(c, commit);
    return b;
}

struct vsr_buffer make_ping(const struct fixture *f, uint32_t from, vsr_view view)
{
    struct vsr_buffer b = make_header(f, VSR_PING, sizeof(struct vsr_header), from);

    b.header->view = view;
    return b;
}

struct vsr_buffer make_pong(const struct fixture *f, uint32_t from, vsr_view view,
                            const struct chain *c, vsr_op op, vsr_op commit)
{
    struct vsr_buffer b = make_header(f, VSR_PONG, sizeof(struct vsr_pong), from);
    struct vsr_pong *pong = BODY(b, vsr_pong);

    b.header->view = view;
    pong->op = op;
    pong->commit = commit;
    pong->commit_checksum = chain_checksum(c, commit);
    return b;
}

struct vsr_buffer make_recovery(const struct fixture *f, uint32_t from, vsr_view view,
                                uint64_t nonce)
{
    struct vsr_buffer b = make_header(f, VSR_RECOVERY, sizeof(struct vsr_recovery), from);

    b.header->view = view;
    BODY(b, vsr_recovery)->nonce = nonce;
    return b;
}

struct vsr_buffer make_recovery_response(const struct fixture *f, uint32_t from, vsr_view view,
                                         const struct chain *c, vsr_op op, vsr_op commit)
{
    struct vsr_buffer b =
        make_header(f, VSR_RECOVERY_RESPONSE, sizeof(struct vsr_recovery_response), from);
    struct vsr_recovery_response *response = BODY(b, vsr_recovery_response);

    b.header->view = view;
    response->nonce = f->r->recovery.nonce;
    response->asker = f->options.replica;
    response->op = op;
    response->checksum = chain_checksum(c, op);
    response->commit = commit;
    response->commit_checksum = chain_checksum(c, commit);
    return b;
}

struct vsr_buffer make_get_chunk(const struct fixture *f, uint32_t from,
                                 const struct vsr_snapshot *snapshot, uint64_t offset)
{
    struct vsr_buffer b = make_header(f, VSR_GET_CHUNK, sizeof(struct vsr_get_chunk), from);
    struct vsr_get_chunk *get = BODY(b, vsr_get_chunk);

    get->nonce = 4712;
    get->checkpoint_op = snapshot != NULL ? snapshot->op : 0;
    get->checkpoint_id = snapshot != NULL ? snapshot->id : 0;
    get->offset = offset;
    return b;
}

struct vsr_buffer make_chunk(const struct fixture *f, uint32_t from, const struct fixture *donor,
                             uint64_t offset, uint32_t bytes)
{
    struct vsr_buffer b =
        make_header(f, VSR_CHUNK, (uint32_t)sizeof(struct vsr_chunk) + VSR_PADDED(bytes), from);
    struct vsr_chunk *chunk = BODY(b, vsr_chunk);
    const struct vsr_checkpoint *kept = &donor->r->checkpoint;

    cr_assert_leq(offset + bytes, donor->kept.count);
    chunk->header.count = bytes;
    chunk->nonce = f->r->nonce;
    chunk->checkpoint_op = kept->snapshot.op;
    chunk->checkpoint_id = kept->snapshot.id;
    chunk->checkpoint_checksum = kept->checksum;
    chunk->snapshot_bytes = kept->snapshot.bytes;
    chunk->offset = offset;
    memcpy(chunk + 1, donor->kept.bytes + offset, bytes);
    return b;
}

uint32_t receivers(const struct fixture *f, enum vsr_message_type type)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < f->sent_count; i++)
        if (f->sent[i].buffer.header->type == type) mask |= f->sent[i].to;
    return mask;
}

void leave(struct fixture *f, vsr_view view)
{
    for (uint32_t i = 0; i < f->options.replica_count && seen(f).view < view; i++)
        if (i != f->options.replica) fixture_message(f, make_vote(f, i, view));
    cr_assert_eq(seen(f).view, view);
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
}

uint32_t tick_until_sent(struct fixture *f, enum vsr_message_type type, uint32_t most)
{
    for (uint32_t ticks = 1; ticks <= most; ticks++) {
        fixture_tick(f);
        if (fixture_sent(f, type, 0) != NULL) return ticks;
    }
    cr_assert_fail("no %s within %u ticks", vsr_message_name((uint8_t)type), most);
    return 0;
}
