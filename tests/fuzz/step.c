/**
 * A fuzzer of messages into vsr_replica_step: the input's bytes are read as a script for one
 * replica. Sound messages take it through its statuses; between them come ones with changed fields.
 *
 * Nothing that a peer says may break the replica: the sanitizers, its own assertions, its
 * invariants (vsr_replica_check) and the host's checks of its effects say whether it does.
 */
#include "step.h"
#include "compose.h"

#include "quorum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS_MAX = 400 };

bool fuzz_is_tracing;

/** From each of the others, or from the first of them. */
static void deliver_from_all(struct host *h, enum vsr_message_type type, uint64_t view,
                             bool is_first_only)
{
    for (uint32_t i = 1; i < h->options.replica_count; i++) {
        const uint32_t from = (h->options.replica + i) % h->options.replica_count;
        host_deliver(h, compose_sound(h, type, from, view));
        if (is_first_only) return;
    }
}

/* Commands. */

static void tick(struct host *h, struct bytes *b)
{
    for (uint32_t left = 1 + bytes_take(b) % 16; left > 0; left--)
        host_step(h, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = h->now_ns += 1000000});
}

static void turn_end(struct host *h, struct bytes *b)
{
    (void)b;
    host_step(h, (struct vsr_event){.kind = VSR_EVENT_TURN_END});
}

static void hold(struct host *h, struct bytes *b)
{
    (void)b;
    h->is_holding = !h->is_holding;
}

static void complete(struct host *h, struct bytes *b)
{
    (void)b;
    host_complete(h);
}

static void fail_takes(struct host *h, struct bytes *b)
{
    (void)h;
    host_fail_takes(bytes_take(b) % 8);
}

static void crash(struct host *h, struct bytes *b)
{
    (void)b;
    host_crash(h);
}

/** As the backups of a primary: all that it has is acknowledged. */
static void acknowledge(struct host *h, struct bytes *b)
{
    deliver_from_all(h, VSR_PREPARE_OK, host_report(h).view, bytes_take(b) % 2 == 1);
    turn_end(h, b);
}

/** As the primary of a backup: some entries, and then that all are committed. */
static void feed(struct host *h, struct bytes *b)
{
    const uint8_t choice = bytes_take(b);

    for (uint32_t i = 0; i < 1u + choice % 8; i++)
        host_deliver(h, compose_prepare(h, host_report(h).op + 1, b));
    if (choice >= 0x80) {
        const uint64_t view = host_report(h).view;
        host_deliver(
            h, compose_sound(h, VSR_COMMIT, primary_of(view, h->options.replica_count), view));
    }
    turn_end(h, b);
}

/** The peers' log grows, and the replica does not hear of it. */
static void grow(struct host *h, struct bytes *b)
{
    for (uint32_t left = 1 + bytes_take(b) % 24; left > 0; left--) {
        struct bytes none = {0};
        const vsr_op op = (h->op > host_report(h).op ? h->op : host_report(h).op) + 1;
        host_drop(compose_prepare(h, op, &none));
    }
}

/** Every other replica votes for the next view, and then leaves for it. */
static void change_view(struct host *h, struct bytes *b)
{
    const uint8_t choice = bytes_take(b);
    const uint64_t view = host_report(h).view;

    deliver_from_all(h, VSR_START_VIEW_CHANGE, view, false);
    if (choice >= 0x40) deliver_from_all(h, VSR_DO_VIEW_CHANGE, view + 1, choice % 2 == 1);
    if (choice >= 0x80) {
        const uint64_t now = host_report(h).view;
        host_deliver(
            h, compose_sound(h, VSR_START_VIEW, primary_of(now, h->options.replica_count), now));
    }
}

/** Answers the last question as the one that was asked would. */
static void answer(struct host *h, struct bytes *b)
{
    static const enum vsr_message_type types[] = {VSR_NEW_STATE, VSR_CHUNK, VSR_RECOVERY_RESPONSE};
    const uint8_t choice = bytes_take(b);

    deliver_from_all(h, types[choice % 3], host_report(h).view, choice >= 0x80);
}

/** What is left of the log behind what the replica asked for: it needs a snapshot. */
static void answer_behind(struct host *h, struct bytes *b)
{
    const uint64_t view = host_report(h).view;

    for (uint32_t i = 1; i < h->options.replica_count; i++) {
        const uint32_t from = (h->options.replica + i) % h->options.replica_count;
        struct vsr_buffer m = compose_sound(h, VSR_NEW_STATE, from, view);
        struct vsr_new_state *state = (struct vsr_new_state *)(void *)m.header;
        state->base = state->end = h->op > 0 ? h->op - 1 : 0;
        state->is_behind = 1;
        state->header.count = 0;
        state->header.bytes = sizeof *state;
        host_deliver(h, m);
    }
    (void)b;
}

/** Peers offer a snapshot of their own, at an op that the replica has not reached. */
static void offer(struct host *h, struct bytes *b)
{
    const uint8_t choice = bytes_take(b);

    host_offer(h, host_report(h).commit + choice % 32);
    if (choice >= 0x40) {
        /* What a snapshot begins with: magic, op, the checksum of the entry at op. */
        const vsr_checksum checksum = host_checksum(h, h->offered_snapshot.op);
        memcpy(h->offered.bytes + 8, &h->offered_snapshot.op, 8);
        memcpy(h->offered.bytes + 16, &checksum, 8);
    }
    h->offered_snapshot.id = vsr_snapshot_id(HOST_CLUSTER, h->offered.bytes, h->offered.count);
    if (choice >= 0x80) compose_damage_offer(h, b);
}

/** All of a snapshot's way: the log has moved on, the replica is told and asks, peers send it. */
static void send_snapshot(struct host *h, struct bytes *b)
{
    const uint64_t view = host_report(h).view;

    grow(h, b);
    host_deliver(h, compose_sound(h, VSR_COMMIT, primary_of(view, h->options.replica_count), view));
    tick(h, b);
    answer_behind(h, b);
    offer(h, b);
    for (uint32_t i = 0; i < 4; i++)
        deliver_from_all(h, VSR_CHUNK, view, false);
}

static void offer_kept(struct host *h, struct bytes *b)
{
    (void)b;
    h->offered = h->kept;
    h->offered_snapshot = h->kept_snapshot;
}

static void (*const commands[])(struct host *, struct bytes *) = {
    tick, turn_end,    hold,   complete,      fail_takes, crash,      acknowledge,   feed,
    grow, change_view, answer, answer_behind, offer,      offer_kept, send_snapshot, feed,
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void play(struct host *h, struct bytes *b)
{
    for (uint32_t i = 0; i < COMMANDS_MAX && b->left > 0; i++) {
        const uint8_t choice = bytes_take(b);
        if (choice < 0x80)
            host_deliver(h, compose(h, compose_type(choice), b));
        else
            commands[choice % COMMANDS](h, b);
    }
    if (!h->is_holding) host_complete(h);
}

/** The first bytes: the cluster, which replica of it, and how its life begins. */
static void begin(struct host *h, struct bytes *b)
{
    const uint8_t cluster = bytes_take(b);
    const uint8_t life = bytes_take(b);
    static const uint32_t counts[] = {3, 3, 5, 1, 2};
    const uint32_t count = counts[cluster % 5];
    struct vsr_replica_options o = host_options(count, cluster / 5 % count);

    if (life & 1) o.checkpoint_ops = 4;
    if (life & 2) o.replies_per_message = 1;
    o.seed = life;
    if (life < 0xC0) {
        host_init(h, &o);
        host_step(h, (struct vsr_event){.kind = VSR_EVENT_START});
        return;
    }
    o.incarnation = 2;
    h->durable = (struct vsr_superblock){
        .view = life >> 2 & 3, .log_view = life >> 4 & life >> 2 & 3, .incarnation = 1};
    host_init(h, &o);
    host_step(h, (struct vsr_event){.kind = VSR_EVENT_RECOVER, .superblock = h->durable});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct host *h = calloc(1, sizeof *h);
    struct bytes b = {.at = data, .left = count};

    if (h == NULL) abort();
    h->is_tracing = fuzz_is_tracing;
    begin(h, &b);
    play(h, &b);
    host_deinit(h);
    free(h);
    return 0;
}
