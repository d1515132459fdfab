/**
 * See world.h.
 */
#include "world.h"

#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

static bool matches(const struct packet *p, uint32_t type, uint32_t from, uint32_t to)
{
    return (type == ANY || p->buffer.header->type == type) && (from == ANY || p->from == from) &&
           (to == ANY || p->to == to);
}

static void keep_answers(struct world *w, uint32_t from, const struct vsr_header *m)
{
    uint32_t offset = sizeof *m;

    for (uint32_t i = 0; i < m->count; i++) {
        const struct vsr_reply *reply =
            (const struct vsr_reply *)(const void *)((const uint8_t *)m + offset);
        cr_assert_lt(w->answer_count, WORLD_ANSWERS_MAX);
        struct world_answer *answer = &w->answers[w->answer_count++];
        *answer = (struct world_answer){
            .session = reply->session,
            .number = reply->number,
            .slot = reply->slot,
            .from = from,
            .status = (enum vsr_reply_status)reply->status,
        };
        if (reply->payload_bytes >= 8) memcpy(&answer->value, reply + 1, 8);
        offset += (uint32_t)sizeof *reply + VSR_PADDED(reply->payload_bytes);
    }
}

static void post(struct world *w, uint32_t from, uint32_t to, struct vsr_buffer buffer)
{
    if (w->is_cut[from][to]) return;
    cr_assert_lt(w->packet_count, WORLD_PACKETS_MAX);
    w->packets[w->packet_count++] = (struct packet){
        .from = from, .to = to, .ticks = w->ticks + w->link_ticks, .buffer = copy_of(buffer)};
}

/** I1: whoever executes an op executes the same entry. */
static void check_agreement(struct world *w, uint32_t replica)
{
    const struct fixture *f = w->replicas[replica];

    /* What is older has been checked when it was new: a step executes less than that. */
    const vsr_op last = seen(f).applied;
    const vsr_op first = last > 512 ? last - 512 : 1;

    for (vsr_op op = first; op <= last && op < FIXTURE_OPS; op++) {
        if (f->executed[op] == 0) continue; /* It came with a snapshot. */
        if (w->executed[op] == 0) w->executed[op] = f->executed[op];
        cr_assert_eq(w->executed[op], f->executed[op], "replica %u executed another op %llu",
                     replica, (unsigned long long)op);
    }
}

_Static_assert(VSR_NOTICE_COUNT <= 32, "a mask of them");

/** Puts what the last step of a replica sent on its way. */
static void collect(struct world *w, uint32_t replica)
{
    struct fixture *f = w->replicas[replica];

    for (uint32_t i = 0; i < f->sent_count; i++) {
        const struct sent *s = &f->sent[i];
        if (s->to == 0 && s->buffer.header->type == VSR_REPLY)
            keep_answers(w, replica, s->buffer.header);
        for (uint32_t to = 0; to < w->count; to++)
            if ((s->to >> to & 1) != 0) post(w, replica, to, s->buffer);
    }
    for (uint32_t i = 0; i < f->notice_count; i++)
        w->noticed[replica] |= 1u << f->notices[i];
    fixture_clear(f);
    check_agreement(w, replica);
}

void world_start(struct world *w, const struct vsr_replica_options *options)
{
    memset(w, 0, sizeof *w);
    w->options = *options;
    w->count = options->replica_count;
    for (uint32_t i = 0; i < w->count; i++) {
        struct vsr_replica_options o = *options;
        o.replica = i;
        w->replicas[i] = fixture_start(&o);
        collect(w, i);
    }
}

void world_end(struct world *w)
{
    world_drop(w, ANY, ANY, ANY);
    for (uint32_t i = 0; i < w->count; i++)
        if (w->replicas[i] != NULL) fixture_free(w->replicas[i]);
    cr_assert_eq(fixture_buffers_live, 0, "%ld buffers did not come back", fixture_buffers_live);
}

/** Takes the first such packet off the network, looking from *at on. */
static bool take_packet(struct world *w, uint32_t type, uint32_t from, uint32_t to, uint32_t *at,
                        struct packet *out)
{
    for (; *at < w->packet_count; (*at)++) {
        if (!matches(&w->packets[*at], type, from, to)) continue;
        *out = w->packets[*at];
        w->packet_count--;
        memmove(&w->packets[*at], &w->packets[*at + 1],
                (w->packet_count - *at) * sizeof w->packets[0]);
        return true;
    }
    return false;
}

enum vsr_drop world_say(struct world *w, uint32_t to, struct vsr_buffer m)
{
    struct fixture *f = w->replicas[to];

    if (f == NULL) {
        fixture_buffers.unref(NULL, m.handle);
        return VSR_DROP_NONE;
    }
    enum vsr_drop why = fixture_message(f, m);
    collect(w, to);
    fixture_turn_end(f);
    collect(w, to);
    return why;
}

uint32_t world_deliver(struct world *w, uint32_t type, uint32_t from, uint32_t to)
{
    const uint32_t waiting = world_waiting(w, type, from, to);
    uint32_t at = 0;
    struct packet packet;

    for (uint32_t i = 0; i < waiting && take_packet(w, type, from, to, &at, &packet); i++)
        world_say(w, packet.to, packet.buffer);
    return waiting;
}

uint32_t world_drop(struct world *w, uint32_t type, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    uint32_t at = 0;
    struct packet packet;

    for (; take_packet(w, type, from, to, &at, &packet); count++)
        fixture_buffers.unref(NULL, packet.buffer.handle);
    return count;
}

uint32_t world_hold(struct world *w, uint32_t type, uint32_t from, uint32_t to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < w->packet_count; i++) {
        if (!matches(&w->packets[i], type, from, to)) continue;
        w->packets[i].is_held = true;
        count++;
    }
    return count;
}

uint32_t world_repeat(struct world *w, uint32_t type, uint32_t from, uint32_t to)
{
    const uint32_t before = w->packet_count;

    for (uint32_t i = 0; i < before; i++) {
        if (!matches(&w->packets[i], type, from, to)) continue;
        cr_assert_lt(w->packet_count, WORLD_PACKETS_MAX);
        struct packet copy = w->packets[i];
        copy.buffer = copy_of(copy.buffer);
        w->packets[w->packet_count++] = copy;
    }
    return w->packet_count - before;
}

uint32_t world_waiting(const struct world *w, uint32_t type, uint32_t from, uint32_t to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < w->packet_count; i++)
        count += matches(&w->packets[i], type, from, to);
    return count;
}

const struct vsr_header *world_peek(const struct world *w, uint32_t type, uint32_t from,
                                    uint32_t to)
{
    for (uint32_t i = 0; i < w->packet_count; i++)
        if (matches(&w->packets[i], type, from, to)) return w->packets[i].buffer.header;
    return NULL;
}

void world_settle(struct world *w)
{
    uint32_t at = 0;

    for (uint32_t moved = 0; at < w->packet_count; moved++) {
        struct packet packet;
        cr_assert_lt(moved, 100000, "it never ends");
        if (w->packets[at].is_held || w->packets[at].ticks > w->ticks) {
            at++;
            continue;
        }
        cr_assert(take_packet(w, ANY, ANY, ANY, &at, &packet));
        world_say(w, packet.to, packet.buffer);
    }
}

void world_cut(struct world *w, uint32_t a, uint32_t b)
{
    w->is_cut[a][b] = w->is_cut[b][a] = true;
}

void world_isolate(struct world *w, uint32_t replica)
{
    for (uint32_t i = 0; i < w->count; i++)
        world_cut(w, i, replica);
}

void world_heal(struct world *w)
{
    memset(w->is_cut, 0, sizeof w->is_cut);
}

void world_tick(struct world *w, uint32_t replica, uint32_t ticks)
{
    for (uint32_t i = 0; i < ticks && w->replicas[replica] != NULL; i++) {
        fixture_tick(w->replicas[replica]);
        collect(w, replica);
    }
}

void world_run(struct world *w, uint32_t ticks)
{
    for (uint32_t i = 0; i < ticks; i++) {
        for (uint32_t replica = 0; replica < w->count; replica++)
            world_tick(w, replica, 1);
        w->ticks++;
        world_settle(w);
    }
}

void world_suspect(struct world *w, uint32_t replica)
{
    const uint64_t votes = seen(w->replicas[replica]).counters.votes;

    for (uint32_t i = 0; seen(w->replicas[replica]).counters.votes == votes; i++) {
        cr_assert_lt(i, 4096, "replica %u does not vote", replica);
        world_tick(w, replica, 1);
    }
}

void world_vote(struct world *w, vsr_view view, uint32_t who)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if ((who >> i & 1) == 0) continue;
        for (uint32_t from = 0; from < w->count && seen(w->replicas[i]).view < view; from++)
            if (from != i) world_say(w, i, make_vote(w->replicas[i], from, view));
        cr_assert_eq(seen(w->replicas[i]).view, view);
    }
}

void world_change_view(struct world *w, vsr_view view, uint32_t who)
{
    world_vote(w, view, who);
    world_settle(w);
    for (uint32_t i = 0; i < w->count; i++) {
        if ((who >> i & 1) == 0) continue;
        cr_assert_eq(seen(w->replicas[i]).view, view);
        cr_assert_eq(seen(w->replicas[i]).status, VSR_STATUS_NORMAL);
    }
}

uint32_t world_primary(const struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->replicas[i] == NULL || !is_serving(w->replicas[i]->r)) continue;
        for (uint32_t k = 0; k < w->count; k++)
            if (k != i && w->replicas[k] != NULL &&
                seen(w->replicas[k]).view == seen(w->replicas[i]).view)
                return i;
    }
    cr_assert_fail("nobody serves");
    return 0;
}

void world_crash(struct world *w, uint32_t replica)
{
    w->superblocks[replica] = w->replicas[replica]->durable;
    fixture_free(w->replicas[replica]);
    w->replicas[replica] = NULL;
}

void world_recover(struct world *w, uint32_t replica)
{
    struct vsr_replica_options o = w->options;

    o.replica = replica;
    w->replicas[replica] = fixture_recover(&o, w->superblocks[replica]);
    collect(w, replica);
}

void world_register(struct world *w, uint32_t to, uint64_t client_id)
{
    world_say(w, to, make_register(w->replicas[to], client_id));
}

void world_request(struct world *w, uint32_t to, vsr_session session, uint32_t slot,
                   uint64_t number, uint64_t counter)
{
    world_say(w, to, make_request(w->replicas[to], session, slot, number, counter));
}

struct world_answer world_open(struct world *w, uint32_t to, uint64_t client_id)
{
    const uint32_t before = w->answer_count;

    world_register(w, to, client_id);
    world_settle(w);
    cr_assert_eq(w->answer_count, before + 1);
    cr_assert_eq(w->answers[before].value, client_id);
    return w->answers[before];
}

uint32_t world_answered(const struct world *w, vsr_session session, uint64_t number)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < w->answer_count; i++)
        count += w->answers[i].session == session && w->answers[i].number == number &&
                 w->answers[i].status == VSR_REPLY_OK;
    return count;
}

void world_all_counted(const struct world *w, uint64_t counter, uint64_t times)
{
    for (uint32_t i = 0; i < w->count; i++)
        cr_assert_eq(w->replicas[i]->counts[counter], times, "replica %u has counted %llu", i,
                     (unsigned long long)w->replicas[i]->counts[counter]);
}

bool world_noticed(const struct world *w, uint32_t replica, enum vsr_notice notice)
{
    return (w->noticed[replica] >> notice & 1) != 0;
}

bool world_agrees(const struct world *w)
{
    const struct vsr_replica *first = NULL;

    for (uint32_t i = 0; i < w->count; i++) {
        if (w->replicas[i] == NULL) continue;
        const struct vsr_replica *r = w->replicas[i]->r;
        if (first == NULL) first = r;
        if (r->status != VSR_STATUS_NORMAL || r->view != first->view ||
            r->log.head_checksum != first->log.head_checksum || r->applied != r->log.op ||
            r->log.op != first->log.op)
            return false;
    }
    return true;
}

void world_converge(struct world *w, uint32_t ticks_max)
{
    for (uint32_t i = 0; i < ticks_max && !world_agrees(w); i++)
        world_run(w, 1);
    cr_assert(world_agrees(w), "no agreement after %u ticks", ticks_max);
    for (uint32_t i = 1; i < w->count; i++)
        if (w->replicas[0] != NULL && w->replicas[i] != NULL)
            cr_assert_arr_eq(w->replicas[i]->counts, w->replicas[0]->counts,
                             sizeof w->replicas[0]->counts);
}
