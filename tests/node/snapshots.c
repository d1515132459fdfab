/**
 * Snapshots of hosts: saved, sent in chunks, checked, loaded, passed on.
 */
#include "leak_check.h"

#include "life.h"
#include "snapshots.h"
#include "world.h"

#include <vsr/message.h>

#include <stdlib.h>

LEAK_CHECKED_SUITE(snapshots);

enum { COUNTERS = 100, CHUNK_BYTES = 128, CLUSTER = 5 };

/** So many calls of realloc from now on succeed, then one is refused. UINT32_MAX: none is. */
static _Thread_local uint32_t grown_before = UINT32_MAX;

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
    if (grown_before == UINT32_MAX || grown_before-- > 0) return __real_realloc(memory, bytes);
    return NULL;
}

/** A replica's host without an actor: what its driver would do is done by the test. */
struct side {
    struct vsr_node_life life;
};

static void drop_send(void *context, uint32_t to_mask, struct vsr_buffer buffer)
{
    (void)context, (void)to_mask, (void)buffer;
}

static const struct vsr_host host = {.send = drop_send};

static struct side *create_side(void)
{
    struct side *s = calloc(1, sizeof *s);
    struct vsr_replica_options o;

    vsr_replica_options_init(&o);
    o.cluster = s->life.snapshots.cluster = CLUSTER;
    o.replica_count = 3;
    o.sessions_max = 4;
    cr_assert_eq(vsr_driver_create(&s->life.driver, &o, &host, NULL), 0);
    cr_assert_eq(vsr_counter_create(COUNTERS, &s->life.machine), 0);
    return s;
}

static void destroy_side(struct side *s)
{
    vsr_node_life_destroy(&s->life);
    free(s);
}

static void add(struct side *s, uint64_t index, uint64_t amount)
{
    const struct vsr_counter_add payload = {.index = index, .amount = amount};
    _Alignas(8) uint8_t room[sizeof(struct vsr_result) + 16];
    const struct vsr_operation operation = {
        .payload = &payload, .payload_bytes = sizeof payload, .result = (void *)room};

    s->life.machine.apply(s->life.machine.state, 1, 0, &operation, 1);
}

static uint64_t digest(const struct side *s)
{
    return s->life.machine.digest(s->life.machine.state);
}

static struct vsr_snapshot save(struct side *s)
{
    return vsr_node_snapshot_save(&s->life.snapshots, s->life.driver.core, &s->life.machine, 0);
}

static bool load(struct side *s, const struct vsr_snapshot *snapshot)
{
    return vsr_node_snapshot_load(&s->life.snapshots, s->life.driver.core, &s->life.machine,
                                  snapshot);
}

/** Sends the first `bytes` of what one side keeps to another, in chunks. */
static void ship(const struct side *from, struct side *to, uint64_t bytes)
{
    _Alignas(8) uint8_t message[sizeof(struct vsr_chunk) + CHUNK_BYTES];
    struct vsr_effect effect = {.buffer = {.header = (void *)message}};

    for (uint64_t at = 0; at < bytes; at += effect.chunk_bytes) {
        effect.chunk_offset = at;
        effect.chunk_bytes = bytes - at < CHUNK_BYTES ? (uint32_t)(bytes - at) : CHUNK_BYTES;
        vsr_node_snapshot_fill(&from->life.snapshots, &effect);
        vsr_node_snapshot_store(&to->life.snapshots, &effect);
    }
}

/* replica.h: LOAD keeps the bytes as the snapshot, so whoever was sent one can pass it on. */
Test(snapshots, one_that_was_sent_is_passed_on)
{
    struct side *a = create_side();
    struct side *b = create_side();
    struct side *c = create_side();

    add(a, 7, 70);
    add(a, 99, 1);
    const struct vsr_snapshot snapshot = save(a);
    cr_assert_gt(snapshot.bytes, COUNTERS * 8);
    ship(a, b, snapshot.bytes);
    cr_assert(load(b, &snapshot));
    cr_assert_eq(digest(b), digest(a));
    ship(b, c, snapshot.bytes);
    cr_assert(load(c, &snapshot));
    cr_assert_eq(digest(c), digest(a));
    destroy_side(a);
    destroy_side(b);
    destroy_side(c);
}

/* replica.h: a chunk at offset 0 begins a new snapshot; a save takes the place of the last one. */
Test(snapshots, a_second_one_takes_the_place_of_the_first)
{
    struct side *a = create_side();
    struct side *b = create_side();

    for (uint64_t round = 1; round <= 3; round++) {
        add(a, round, 10 * round);
        const struct vsr_snapshot snapshot = save(a);
        ship(a, b, snapshot.bytes / 2); /* a first try that breaks off */
        ship(a, b, snapshot.bytes);
        cr_assert(load(b, &snapshot));
        cr_assert_eq(digest(b), digest(a));
    }
    destroy_side(a);
    destroy_side(b);
}

/* replica.h: bytes that are not those of the id change nothing, whatever is wrong with them. */
Test(snapshots, damaged_bytes_are_not_loaded)
{
    struct side *a = create_side();
    struct side *b = create_side();

    add(a, 1, 5);
    add(b, 2, 6);
    const uint64_t before = digest(b);
    const struct vsr_snapshot snapshot = save(a);
    for (uint64_t at = 0; at < snapshot.bytes; at += 61) {
        ship(a, b, snapshot.bytes);
        b->life.snapshots.incoming.bytes[at] ^= 0x10;
        cr_assert_not(load(b, &snapshot));
        cr_assert_eq(digest(b), before);
    }
    ship(a, b, snapshot.bytes - 8);
    cr_assert_not(load(b, &snapshot));
    cr_assert_eq(digest(b), before);
    ship(a, b, snapshot.bytes);
    cr_assert(load(b, &snapshot));
    destroy_side(a);
    destroy_side(b);
}

/* replica.h: a chunk that does not follow on what is there is not stored, before it or behind. */
Test(snapshots, a_chunk_out_of_its_place_is_not_stored)
{
    _Alignas(8) uint8_t message[sizeof(struct vsr_chunk) + CHUNK_BYTES] = {0};
    struct vsr_effect effect = {.buffer = {.header = (void *)message}, .chunk_bytes = CHUNK_BYTES};
    struct side *a = create_side();
    struct side *b = create_side();

    add(a, 3, 30);
    const struct vsr_snapshot snapshot = save(a);
    ship(a, b, 4 * CHUNK_BYTES);
    effect.chunk_offset = 3 * CHUNK_BYTES; /* again */
    vsr_node_snapshot_store(&b->life.snapshots, &effect);
    effect.chunk_offset = 5 * CHUNK_BYTES; /* one is missing */
    vsr_node_snapshot_store(&b->life.snapshots, &effect);
    cr_assert_eq(b->life.snapshots.incoming.count, 4 * CHUNK_BYTES);
    for (uint64_t at = 4 * CHUNK_BYTES; at < snapshot.bytes; at += effect.chunk_bytes) {
        effect.chunk_offset = at;
        effect.chunk_bytes =
            snapshot.bytes - at < CHUNK_BYTES ? (uint32_t)(snapshot.bytes - at) : CHUNK_BYTES;
        vsr_node_snapshot_fill(&a->life.snapshots, &effect);
        vsr_node_snapshot_store(&b->life.snapshots, &effect);
    }
    cr_assert(load(b, &snapshot));
    cr_assert_eq(digest(b), digest(a));
    destroy_side(a);
    destroy_side(b);
}

static bool load_nothing(void *state, vsr_snapshot_read read, void *stream)
{
    (void)state, (void)read, (void)stream;
    return true;
}

static bool load_beyond(void *state, vsr_snapshot_read read, void *stream)
{
    uint8_t byte;

    (void)state;
    while (read(stream, &byte, 1)) {
        /* To the end, and one more. */
    }
    return true;
}

/* state_machine.h: a machine that leaves bytes of its snapshot unread has loaded another one. One
 * that asks for more than there are is told, and gets none. */
Test(snapshots, a_snapshot_is_loaded_to_its_last_byte)
{
    struct side *a = create_side();
    struct side *b = create_side();

    const struct vsr_snapshot snapshot = save(a);
    ship(a, b, snapshot.bytes);
    b->life.machine.load = load_nothing;
    cr_assert_not(load(b, &snapshot));
    destroy_side(b);
    b = create_side();
    ship(a, b, snapshot.bytes);
    b->life.machine.load = load_beyond;
    cr_assert(load(b, &snapshot));
    destroy_side(a);
    destroy_side(b);
}

static bool refuse_load(void *state, vsr_snapshot_read read, void *stream)
{
    (void)state, (void)read, (void)stream;
    return false;
}

static bool fail_save(void *state, vsr_snapshot_write write, void *stream)
{
    (void)state;
    write(stream, "half", 4);
    return false;
}

/* state_machine.h: a machine that fails to save has no snapshot; one that fails to load says so. */
Test(snapshots, a_machine_that_fails_is_told_apart)
{
    struct side *a = create_side();
    struct side *b = create_side();

    const struct vsr_snapshot snapshot = save(a);
    ship(a, b, snapshot.bytes);
    b->life.machine.load = refuse_load;
    cr_assert_not(load(b, &snapshot));
    a->life.machine.save = fail_save;
    cr_assert_eq(save(a).bytes, 0);
    destroy_side(a);
    destroy_side(b);
}

/* snapshots.h: without memory there is no snapshot, none is loaded, and the next one is whole. */
Test(snapshots, what_finds_no_memory_is_none)
{
    struct side *a = create_side();
    struct side *b = create_side();
    uint32_t refused = 0;

    add(a, 7, 70);
    for (uint32_t at = 0; grown_before = at, save(a).bytes == 0; at++)
        refused++;
    cr_assert_gt(refused, 0);
    grown_before = UINT32_MAX;
    const struct vsr_snapshot snapshot = save(a);
    cr_assert_gt(snapshot.bytes, 0);
    grown_before = 0;
    ship(a, b, snapshot.bytes);
    cr_assert_not(load(b, &snapshot));
    grown_before = UINT32_MAX;
    ship(a, b, snapshot.bytes);
    cr_assert(load(b, &snapshot));
    cr_assert_eq(digest(b), digest(a));
    destroy_side(a);
    destroy_side(b);
}

/** Commits so many ops, one after the other. */
static void commit(struct vsr_caller *caller, uint32_t count)
{
    uint64_t value;

    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(
            world_add(caller, (struct vsr_counter_add){i % WORLD_COUNTERS, i}, &value, 10 * SECOND),
            0);
}

/* A replica that falls behind the log's ring twice in one life loads two snapshots. */
Test(snapshots, two_in_one_life_under_real_actors)
{
    struct world w;

    world_init(&w);
    w.options.replica.log_ops = 32;
    world_start_caller(&w);
    for (uint32_t round = 1; round <= 2; round++) {
        cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
        commit(w.caller, 100);
        cr_assert_eq(vsr_cluster_resume(w.cluster, 2), 0);
        cr_assert_eq(vsr_cluster_settle(w.cluster, 20 * SECOND), 0);
        cr_assert_geq(world_look(&w, 2).replica.counters.snapshots_loaded, round);
    }
    world_stop(&w);
}
