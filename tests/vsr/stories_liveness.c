/**
 * Stories in which a majority is healthy and connected, and has to go on within bounded ticks:
 * links that are cut one way for good, replicas that are deaf, links slower than resend_ticks, load
 * that does not stop while somebody comes back. DESIGN.md, "Waiting".
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(goes_on);
LEAK_CHECKED_SUITE(slow_links);
LEAK_CHECKED_SUITE(comes_back);

enum { CLIENTS = 8 };

static struct world w;
static struct client {
    struct world_answer session;
    uint64_t number;
} clients[CLIENTS];

static const struct vsr_replica *replica(uint32_t i)
{
    return w.replicas[i]->r;
}

static void begin(const struct vsr_replica_options *options)
{
    world_start(&w, options);
    for (uint32_t i = 0; i < CLIENTS; i++)
        clients[i] = (struct client){.session = world_open(&w, 0, i + 1)};
    world_run(&w, 10);
}

static void cut_one_way(uint32_t from, uint32_t to)
{
    w.is_cut[from][to] = true;
}

static void deafen(uint32_t i)
{
    for (uint32_t from = 0; from < w.count; from++)
        cut_one_way(from, i);
}

/** Each client whose last request is answered has one more; those of the others are repeated now
 * and then. All replicas are asked, as clients do in the end. */
static void ask_all(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        const struct world_answer *s = &c->session;
        bool is_new = c->number == 0 || world_answered(&w, s->session, c->number) > 0;
        if (is_new) c->number++;
        if (!is_new && w.ticks % 8 != 0) continue;
        for (uint32_t to = 0; to < w.count; to++)
            if (w.replicas[to] != NULL) world_request(&w, to, s->session, s->slot, c->number, i);
    }
    if (w.answer_count > WORLD_ANSWERS_MAX - 8 * CLIENTS) {
        /* Keep the last ones only. */
        const uint32_t kept = 4 * CLIENTS;
        for (uint32_t i = 0; i < kept; i++)
            w.answers[i] = w.answers[w.answer_count - kept + i];
        w.answer_count = kept;
    }
}

static vsr_op highest_commit(void)
{
    vsr_op op = 0;

    for (uint32_t i = 0; i < w.count; i++)
        if (w.replicas[i] != NULL && replica(i)->commit > op) op = replica(i)->commit;
    return op;
}

/** Load for so many ticks; nothing is ever committed for `most` ticks together, or it fails.
 * Returns how many ops were. */
static vsr_op load(uint32_t ticks, uint32_t most)
{
    const vsr_op first = highest_commit();
    vsr_op last = first;
    uint32_t still = 0;

    for (uint32_t i = 0; i < ticks; i++) {
        ask_all();
        world_run(&w, 1);
        still = highest_commit() > last ? 0 : still + 1;
        last = highest_commit();
        cr_assert_leq(still, most, "nothing after op %u for %u ticks", (unsigned)last, still);
    }
    return last - first;
}

/** What a dead or deaf primary costs: it is noticed, and a view change starts. */
static uint32_t view_change_ticks(void)
{
    return w.options.abdicate_ticks + 4 * w.options.suspect_ticks;
}

/* A replica that is heard and hears nobody: it does not move, and the log does not wait for it
 * longer than suspect_ticks, although it votes and asks. N=3; N=5, where one of five is deaf. */
Test(goes_on, with_a_deaf_backup)
{
    for (uint32_t count = 3; count <= 5; count += 2) {
        struct vsr_replica_options o = fixture_options(count, 0);
        begin(&o);
        deafen(count - 1);
        world_run(&w, 200);
        cr_assert_gt(load(400, o.suspect_ticks + o.resend_ticks), 200);
        world_end(&w);
    }
}

/* The same of one that has lost its memory and asks for it, and hears no answer. */
Test(goes_on, with_a_deaf_recovering_replica)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    begin(&o);
    world_crash(&w, 2);
    deafen(2);
    world_recover(&w, 2);
    cr_assert_gt(load(400, o.suspect_ticks + o.resend_ticks), 200);
    cr_assert_eq(replica(2)->status, VSR_STATUS_RECOVERING);
    world_end(&w);
}

/* Snapshots cannot be had: one that needs one is left behind, and nobody waits for it. */
Test(goes_on, without_snapshots)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    begin(&o);
    for (uint32_t i = 0; i < 3; i++)
        w.replicas[i]->keeps_nothing = true;
    world_crash(&w, 2);
    load(150, o.suspect_ticks + o.resend_ticks);
    world_recover(&w, 2);
    cr_assert_gt(load(600, o.suspect_ticks + o.resend_ticks), 200);
    /* With room they come, and it catches up. */
    for (uint32_t i = 0; i < 3; i++)
        w.replicas[i]->keeps_nothing = false;
    world_converge(&w, 12 * o.suspect_ticks);
    world_end(&w);
}

/* All that is sent to it is lost once it has begun to fetch: its questions come again and again. */
Test(goes_on, with_one_that_asks_and_hears_no_answer)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.chunk_bytes_max = 1024;
    begin(&o);
    world_crash(&w, 2);
    load(150, o.suspect_ticks + o.resend_ticks);
    world_recover(&w, 2);
    for (uint32_t i = 0; world_waiting(&w, VSR_GET_CHUNK, 2, ANY) == 0; i++) {
        cr_assert_lt(i, 10000);
        if (w.packet_count == 0)
            world_run(&w, 1);
        else
            world_deliver(&w, w.packets[0].buffer.header->type, w.packets[0].from, w.packets[0].to);
    }
    deafen(2);
    cr_assert_gt(load(800, o.catch_up_ticks + 2 * o.suspect_ticks + 200), 400);
    world_end(&w);
}

/* The primary hears one and is heard by another: no op of its is ever acknowledged, and {1, 2} are
 * connected. It abdicates, for voices are no acknowledgements. */
Test(goes_on, past_a_primary_that_nobody_acknowledges)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    begin(&o);
    cut_one_way(0, 1);
    cut_one_way(2, 0);
    load(400, 2 * view_change_ticks());
    cr_assert_gt(load(200, view_change_ticks()), 50);
    world_end(&w);
}

/* Five: the primary hears 1, and 4, which has lost its memory and is deaf. {1, 2, 3} go on. */
Test(goes_on, past_a_primary_that_hears_too_few)
{
    struct vsr_replica_options o = fixture_options(5, 0);

    begin(&o);
    world_crash(&w, 4);
    deafen(4);
    cut_one_way(2, 0);
    cut_one_way(3, 0);
    world_recover(&w, 4);
    load(400, 2 * view_change_ticks());
    cr_assert_gt(load(200, view_change_ticks()), 50);
    world_end(&w);
}

/* A round trip of more than resend_ticks: the answers to each question come, late. A replica that
 * has lost its memory comes back. */
Test(slow_links, recovery_ends)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    begin(&o);
    w.link_ticks = 3;
    cr_assert_gt(2 * w.link_ticks, o.resend_ticks);
    load(30, 4 * w.link_ticks);
    world_crash(&w, 2);
    load(20, 4 * w.link_ticks);
    world_recover(&w, 2);
    world_converge(&w, 20 * w.link_ticks + 4 * o.resend_ticks);
    world_end(&w);
}

/* The primary dies while one entry is at one backup only, which is not the next primary: that one
 * has to fetch it before the view can start. */
Test(slow_links, view_starts)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    begin(&o);
    w.link_ticks = 3;
    cut_one_way(0, 1);
    ask_all();
    cr_assert_gt(replica(0)->log.op, replica(1)->log.op);
    world_run(&w, w.link_ticks);
    cr_assert_gt(replica(2)->log.op, replica(1)->log.op);
    world_crash(&w, 0);
    load(400, 2 * view_change_ticks());
    cr_assert_gt(load(200, view_change_ticks()), 20);
    world_end(&w);
}

/* 6.7: round trips of up to four times T_abdicate. The first primary gives its view up before it
 * has had an answer, and so does the next, with more patience each time, until one has timed what
 * its answers take; that view lasts, and patience falls back. */
Test(slow_links, views_last_though_answers_take_longer_than_patience)
{
    for (uint32_t times = 1; times <= 4; times *= 2) {
        struct vsr_replica_options o = fixture_options(3, 0);
        const uint32_t round_trip = times * o.abdicate_ticks;
        begin(&o);
        w.link_ticks = round_trip / 2;
        world_vote(&w, 1, 7);
        load(16 * round_trip, 10 * round_trip);
        cr_assert_gt(replica(0)->view, 1, "%u: the first one has not lasted", round_trip);
        const vsr_view view = replica(0)->view;
        cr_assert_geq(load(16 * round_trip, 4 * round_trip), 4);
        for (uint32_t i = 0; i < 3; i++) {
            cr_assert_eq(replica(i)->view, view, "%u: and another one", round_trip);
            cr_assert_eq(replica(i)->change.attempts, 0);
        }
        world_end(&w);
    }
}

/* The load does not stop, the ring moves on while the snapshot is sent in parts that are slower
 * than checkpoint_ops: the one that is being sent is kept, and the log behind it. */
Test(comes_back, under_load)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    uint32_t ticks = 0;

    o.checkpoint_ops = 4;
    o.chunk_bytes_max = 1024;
    begin(&o);
    w.link_ticks = 2;
    world_crash(&w, 2);
    load(300, o.suspect_ticks + o.resend_ticks);
    world_recover(&w, 2);
    for (; replica(2)->status != VSR_STATUS_NORMAL ||
           replica(2)->commit + o.log_ops < highest_commit();
         ticks++) {
        cr_assert_lt(ticks, 10 * o.suspect_ticks);
        load(1, 10 * o.suspect_ticks);
    }
    cr_assert_leq(replica(2)->counters.snapshots_loaded, 3);
    for (uint32_t i = 0; i < 200; i++) {
        load(1, o.suspect_ticks + o.resend_ticks);
        cr_assert_leq(highest_commit(), replica(2)->commit + o.log_ops, "it falls behind again");
    }
    world_end(&w);
}

/* A replica that has lost its memory and that the primary of a healthy view does not reach, nor it
 * the primary: it is NORMAL again by way of the others, and executes what they do. */
Test(comes_back, recovery_goes_round_a_cut_to_the_primary)
{
    for (uint32_t ways = 1; ways <= 3; ways++) {
        struct vsr_replica_options o = fixture_options(3, 0);
        begin(&o);
        load(6, 30);
        world_crash(&w, 2);
        if ((ways & 1) != 0) cut_one_way(0, 2);
        if ((ways & 2) != 0) cut_one_way(2, 0);
        world_recover(&w, 2);
        world_run(&w, 20 * o.suspect_ticks);
        cr_assert_eq(seen(w.replicas[2]).status, VSR_STATUS_NORMAL, "%u", ways);
        load(6, 30);
        world_run(&w, 8 * o.suspect_ticks);
        cr_assert_eq(seen(w.replicas[2]).applied, seen(w.replicas[1]).applied);
        world_heal(&w);
        world_end(&w);
    }
}
