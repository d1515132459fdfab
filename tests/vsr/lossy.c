/**
 * A small cluster in one thread whose network loses, repeats, delays and reorders.
 *
 * Not the simulator (there are no crashes): a check that normal operation, left alone in the end,
 * always comes to the same end. SEED=n in the environment runs one seed.
 */
#include "fixture.h"
#include "leak_check.h"
#include "program.h"

#include <vsr/client.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(lossy);

enum { SESSIONS = 24, GOAL = 40, NETWORK_MAX = 1 << 15, TICKS_MAX = 60000, TO_CLIENT = 100 };

struct packet {
    uint64_t due;
    uint32_t to;
    struct vsr_buffer buffer;
};

struct lossy {
    struct fixture *replicas[7];
    uint32_t count;
    struct vsr_client *client;
    struct vsr_client_effects effects;
    void *client_memory;
    struct packet network[NETWORK_MAX];
    uint32_t packets;
    uint64_t now;
    uint64_t random;
    bool is_faulty;
    uint64_t done[SESSIONS];
    uint64_t answered;
};

static uint64_t roll(struct lossy *w, uint64_t sides)
{
    w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
    return (w->random >> 33) % sides;
}

static void post(struct lossy *w, uint32_t to, struct vsr_buffer buffer)
{
    uint32_t copies = 1;

    if (w->is_faulty) {
        uint64_t dice = roll(w, 100);
        copies = dice < 10 ? 0 : dice < 20 ? 2 : 1;
    }
    for (uint32_t i = 0; i < copies && w->packets < NETWORK_MAX; i++) {
        uint64_t delay = w->is_faulty ? roll(w, roll(w, 10) == 0 ? 40 : 4) : 0;
        w->network[w->packets++] =
            (struct packet){.due = w->now + delay, .to = to, .buffer = copy_of(buffer)};
    }
    fixture_buffers.unref(NULL, buffer.handle);
}

/** Sends what the last step of a replica brought. */
static void post_sent(struct lossy *w, struct fixture *f)
{
    for (uint32_t i = 0; i < f->sent_count; i++) {
        const struct sent *s = &f->sent[i];
        if (s->to == 0) post(w, TO_CLIENT, copy_of(s->buffer));
        for (uint32_t k = 0; k < w->count; k++)
            if ((s->to >> k & 1) != 0) post(w, k, copy_of(s->buffer));
    }
    fixture_clear(f);
}

static void submit(struct lossy *w, uint32_t session)
{
    const uint64_t payload = session;

    if (w->done[session] == GOAL) return;
    cr_assert_eq(vsr_client_submit(w->client, session, &payload, sizeof payload, &w->effects), 0);
}

/** The list grows while it is walked: submits append to it. */
static void client_effects(struct lossy *w)
{
    for (uint32_t i = 0; i < w->effects.count; i++) {
        const struct vsr_client_effect e = w->effects.list[i];
        cr_assert_neq(e.kind, VSR_CLIENT_EVICTED);
        if (e.kind == VSR_CLIENT_SEND) {
            for (uint32_t k = 0; k < w->count; k++)
                if ((e.to >> k & 1) != 0) post(w, k, copy_of(e.buffer));
            fixture_buffers.unref(NULL, e.buffer.handle);
            continue;
        }
        if (e.kind == VSR_CLIENT_RESULT) {
            cr_assert_eq(e.number, ++w->done[e.session], "answered once, in order");
            w->answered++;
        }
        submit(w, e.session);
    }
    w->effects.count = 0;
}

static void deliver(struct lossy *w, struct packet packet)
{
    if (packet.to == TO_CLIENT) {
        vsr_client_receive(w->client, packet.buffer.header, &w->effects);
        client_effects(w);
        fixture_buffers.unref(NULL, packet.buffer.handle);
        return;
    }
    fixture_message(w->replicas[packet.to], packet.buffer);
    post_sent(w, w->replicas[packet.to]);
}

static void tick(struct lossy *w)
{
    w->now++;
    for (uint32_t i = 0; i < w->packets;) {
        /* From a random place on, so that even what is due together comes in any order. */
        uint32_t at = w->is_faulty ? i + (uint32_t)roll(w, w->packets - i) : i;
        if (w->network[at].due > w->now) {
            i++;
            continue;
        }
        struct packet packet = w->network[at];
        w->network[at] = w->network[--w->packets];
        deliver(w, packet);
    }
    for (uint32_t k = 0; k < w->count; k++) {
        fixture_step(w->replicas[k],
                     (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = w->now * 1000});
        post_sent(w, w->replicas[k]);
    }
    vsr_client_tick(w->client, &w->effects);
    vsr_client_turn_end(w->client, &w->effects);
    client_effects(w);
}

static void start(struct lossy *w, uint32_t replicas, uint64_t seed)
{
    struct vsr_client_options c;

    memset(w, 0, sizeof *w);
    w->count = replicas;
    w->random = seed;
    w->is_faulty = true;
    for (uint32_t i = 0; i < replicas; i++) {
        struct vsr_replica_options o = fixture_options(replicas, i);
        o.sessions_max = SESSIONS;
        o.log_ops = 4096;
        o.pipeline_max = 1 + (uint32_t)(seed % 8);
        o.batch_requests_max = 1 + (uint32_t)(seed % 5);
        o.replies_per_message = (uint32_t)(seed % 2);
        w->replicas[i] = fixture_start(&o);
    }
    vsr_client_options_init(&c);
    c.cluster = CLUSTER;
    c.replica_count = replicas;
    c.sessions = SESSIONS;
    c.sessions_max = SESSIONS;
    c.retry_ticks = 20;
    c.id[0] = seed;
    c.id[1] = 7;
    c.requests_per_message = (uint32_t)(seed % 3);
    c.buffers = fixture_buffers;
    size_t bytes = (vsr_client_bytes(&c) + 63) & ~(size_t)63;
    w->client_memory = aligned_alloc(64, bytes);
    memset(w->client_memory, 0, bytes);
    w->client = vsr_client_init(w->client_memory, &c);
    w->effects.capacity = 4 * vsr_client_effects_max(&c);
    w->effects.list = calloc(w->effects.capacity, sizeof *w->effects.list);
    vsr_client_open(w->client, &w->effects);
    client_effects(w);
}

static bool has_converged(const struct lossy *w)
{
    if (w->answered < (uint64_t)SESSIONS * GOAL) return false;
    for (uint32_t i = 0; i < w->count; i++)
        if (seen(w->replicas[i]).applied != seen(w->replicas[0]).op) return false;
    return true;
}

static void finish(struct lossy *w)
{
    for (uint32_t i = 0; i < w->packets; i++)
        fixture_buffers.unref(NULL, w->network[i].buffer.handle);
    vsr_client_deinit(w->client);
    free(w->client_memory);
    free(w->effects.list);
    for (uint32_t i = 0; i < w->count; i++)
        fixture_free(w->replicas[i]);
    cr_assert_eq(fixture_buffers_live, 0);
}

static void run(uint32_t replicas, uint64_t seed)
{
    static struct lossy w;

    start(&w, replicas, seed);
    while (w.now < TICKS_MAX && !has_converged(&w)) {
        if (w.answered > (uint64_t)SESSIONS * GOAL * 9 / 10) w.is_faulty = false;
        tick(&w);
    }
    cr_assert(has_converged(&w), "%u replicas, SEED=%llu: %llu of %d answered after %d ticks",
              replicas, (unsigned long long)seed, (unsigned long long)w.answered, SESSIONS * GOAL,
              TICKS_MAX);
    for (uint32_t i = 0; i < replicas; i++) {
        cr_assert_eq(w.replicas[i]->applied_requests, (uint64_t)SESSIONS * GOAL,
                     "%u replicas, SEED=%llu: executed once each", replicas,
                     (unsigned long long)seed);
        cr_assert_eq(seen(w.replicas[i]).head_checksum, seen(w.replicas[0]).head_checksum);
        for (uint32_t slot = 0; slot < SESSIONS; slot++) {
            const struct vsr_client_entry *a =
                vsr_client_table_at(&w.replicas[i]->r->clients, slot);
            const struct vsr_client_entry *b =
                vsr_client_table_at(&w.replicas[0]->r->clients, slot);
            cr_assert_eq(a->session, b->session);
            cr_assert_eq(a->number, b->number);
            cr_assert_eq(a->last_op, b->last_op);
        }
    }
    finish(&w);
}

static void run_seeds(uint32_t replicas, uint64_t seeds)
{
    const char *one = getenv("SEED");

    if (one != NULL) {
        run(replicas, program_seed("SEED", one));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run(replicas, seed);
}

/* Everything that can be lost is sent again; everything repeated is harmless. */
Test(lossy, one_replica_converges)
{
    run_seeds(1, 10);
}

Test(lossy, two_replicas_converge)
{
    run_seeds(2, 10);
}

Test(lossy, three_replicas_converge)
{
    run_seeds(3, 20);
}

Test(lossy, four_replicas_converge)
{
    run_seeds(4, 10);
}

Test(lossy, five_replicas_converge)
{
    run_seeds(5, 10);
}

Test(lossy, seven_replicas_converge)
{
    run_seeds(7, 6);
}
