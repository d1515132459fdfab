/**
 * Drawing a run. See scenario.h.
 */
#include "scenario.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BIT(fault) (1u << FAULT_##fault)

enum { OP_BYTES = sizeof(uint64_t[2]) };

#define ABOUT(condition) (1u << CONDITION_##condition)

/** What has an end of its own is not among them. */
enum { ALL_FAULTS = (1u << FAULT_AMNESIA) - 1 };

const struct profile sim_profiles[] = {
    {"mixed", ALL_FAULTS, 20, 30, 0, true, "everything, a drawn part of it in each run"},
    {"calm", 0, 0, 10, ABOUT(STAYS), true, "no faults"},
    {"network", BIT(CLOG) | BIT(LOSS) | BIT(REPLAY) | BIT(TYPE_DELAY) | BIT(TYPE_DROP), 30, 20, 0,
     true, "loss, repetition, delay, old messages"},
    {"partition",
     BIT(PARTITION) | BIT(ONE_WAY) | BIT(SINGLETON) | BIT(DEAF) | BIT(MUTE) | BIT(CLOG) |
         BIT(REPLAY) | BIT(TYPE_DELAY),
     5, 20, 0, true, "replicas that do not hear each other"},
    {"crash",
     BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(PAUSE) | BIT(SLOW_DISK) | BIT(CRASH_PERSIST) |
         BIT(REPLAY) | BIT(CLIENT_RESTART),
     5, 20, 0, true, "crashes and pauses at any time"},
    {"recovery",
     BIT(CRASH_SENDER) | BIT(CRASH_RECEIVER) | BIT(CRASH_PERSIST) | BIT(CRASH) | BIT(TYPE_DELAY) |
         BIT(TYPE_DROP) | BIT(SLOW_DISK) | BIT(REPLAY) | BIT(PARTITION),
     5, 20, 0, true, "crashes right after the message that matters, fast restarts"},
    {"snapshot",
     BIT(SINGLETON) | BIT(PAUSE) | BIT(CRASH) | BIT(FAMINE) | BIT(BAD_SNAPSHOT) |
         BIT(CRASH_RECEIVER) | BIT(CLOG) | BIT(CRASH_PERSIST),
     5, 90, 0, true, "small logs, replicas that fall behind them"},
    {"overload", BIT(FAMINE) | BIT(PAUSE) | BIT(CLOG) | BIT(CLIENT_RESTART) | BIT(CRASH_PRIMARY), 5,
     60, 0, true, "more load than room: Busy, few buffers, evictions"},
    {"standing",
     BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(PAUSE) | BIT(SINGLETON) | BIT(REPLAY) |
         BIT(CLIENT_RESTART),
     5, 60, ABOUT(CUTS) | ABOUT(CUT_AT_MESSAGE) | ABOUT(STEADY_LOAD), true,
     "links of up to f replicas cut for good; the others have to go on"},
    {"slow", BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(PAUSE) | BIT(CLOG) | BIT(SINGLETON), 5, 30,
     ABOUT(SLOW_LINKS), true, "round trips longer than resend_ticks"},
    {"crawl", BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(SINGLETON), 0, 30, ABOUT(CRAWLING_LINKS), true,
     "round trips longer than every timer"},
    {"transfer", BIT(SINGLETON) | BIT(PAUSE) | BIT(CRASH) | BIT(CLOG), 5, 90,
     ABOUT(STEADY_LOAD) | ABOUT(KEEPS_UP) | ABOUT(LARGE_SNAPSHOTS) | ABOUT(SLOW_SNAPSHOTS) |
         ABOUT(FAILING_SNAPSHOTS),
     true, "snapshots that are large, slow and fail, under load that goes on"},
    {"unsaved", BIT(SINGLETON) | BIT(PAUSE) | BIT(CRASH) | BIT(CLOG), 5, 90,
     ABOUT(STEADY_LOAD) | ABOUT(LARGE_SNAPSHOTS) | ABOUT(NEVER_SAVES), true,
     "a replica whose saves all fail: another one has to be asked"},
    {"late", BIT(CLOG) | BIT(LOSS) | BIT(REPLAY) | BIT(TYPE_DELAY) | BIT(TYPE_DROP), 20, 100,
     ABOUT(STEADY_LOAD) | ABOUT(LARGE_SNAPSHOTS) | ABOUT(SLOW_SNAPSHOTS), true,
     "messages that come when a snapshot is on its way instead"},
    {"saving", 0, 0, 50,
     ABOUT(STEADY_LOAD) | ABOUT(KEEPS_UP) | ABOUT(LARGE_SNAPSHOTS) | ABOUT(SLOW_SNAPSHOTS) |
         ABOUT(STAYS),
     true, "snapshots that take time, and no faults: nobody leaves a view"},
    {"crowd", BIT(CRASH_PRIMARY) | BIT(PAUSE) | BIT(CLOG) | BIT(FAMINE), 5, 30, ABOUT(CROWD), true,
     "hundreds of requests in one message"},
    {"fork", BIT(PARTITION) | BIT(SINGLETON) | BIT(DEAF) | BIT(REPLAY) | BIT(CLOG) | BIT(CRASH), 10,
     20, ABOUT(NO_FALSE_FORK), true, "logs that differ between views, and no fork"},
    {"numbers", BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(PARTITION) | BIT(CLOCK_JUMP) | BIT(STALL), 10,
     30, ABOUT(HIGH_NUMBERS) | ABOUT(PAYLOADS), true,
     "large numbers, jumping clocks, strange payloads"},
    {"twins", BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(PARTITION) | BIT(CLIENT_RESTART), 10, 30,
     ABOUT(TWINS), true, "two clients with one id: one of them is refused"},
    {"malformed", BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(CLOG) | BIT(SINGLETON), 5, 50,
     ABOUT(MALFORMED) | ABOUT(PAYLOADS), true, "messages that are dropped"},
    {"lies", BIT(CRASH) | BIT(CRASH_PRIMARY) | BIT(CLOG) | BIT(SINGLETON), 5, 50,
     ABOUT(LIES) | ABOUT(PAYLOADS), true, "messages with wrong bits; only a crash is a failure"},
    {"amnesia", BIT(AMNESIA) | BIT(CRASH) | BIT(SINGLETON) | BIT(REPLAY) | BIT(CLOG), 10, 30, 0,
     true, "more than f lose their memory at once: the cluster stops, it does not fork"},
    {"deviation", BIT(DEVIATION) | BIT(CRASH_PRIMARY) | BIT(CLOG), 5, 30, ABOUT(STEADY_LOAD), true,
     "a state machine that deviates on one replica: that one halts"},
    {NULL, 0, 0, 0, 0, false, NULL},
};

const struct profile *sim_profile_find(const char *name)
{
    for (const struct profile *p = sim_profiles; p->name != NULL; p++)
        if (strcmp(p->name, name) == 0) return p;
    return NULL;
}

static bool is_profile(const struct scenario *s, const char *name)
{
    return strcmp(s->profile->name, name) == 0;
}

/** One of the values, each as likely. */
#define PICK(random, ...)                                                                          \
    ((const uint32_t[]){__VA_ARGS__}[random_below(                                                 \
        random, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))])

static uint32_t power_of_two(uint32_t least)
{
    uint32_t power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/**
 * How many replicas may have lost their memory at once: all others together have to recover them
 * and to change views. Source: protocol 8.3, 13.
 */
static uint32_t crash_limit_of(const struct scenario *s)
{
    const uint32_t n = s->replica.replica_count;
    const uint32_t recovery = s->replica.recovery_quorum != 0 ? s->replica.recovery_quorum
                                                              : n - s->quorum_view_change + 1;

    if (n == 1) return 0;
    return smaller((n - 1) / 2, smaller(n - s->quorum_view_change, n - recovery));
}

static void draw_quorums(struct scenario *s, struct random *r, uint32_t replicas)
{
    struct vsr_replica_options *o = &s->replica;
    const uint32_t n = replicas != 0 ? replicas : PICK(r, 3, 3, 3, 3, 5, 5, 5, 4, 4, 7, 6, 2, 1, 3);
    const uint32_t majority = n / 2 + 1;

    o->replica_count = n;
    s->quorum_replication = s->quorum_view_change = majority;
    if (n > 2 && random_percent(r, 35)) {
        s->quorum_replication = (uint32_t)random_between(r, 1, n);
        uint32_t least = n + 1 - s->quorum_replication;
        /* Below a majority it is safe, but rarely chosen: two groups may outvote each other. */
        if (least < majority && !random_percent(r, 20)) least = majority;
        if (least < 2) least = 2;
        s->quorum_view_change =
            random_percent(r, 70) ? least : (uint32_t)random_between(r, least, n);
        o->quorum_replication = s->quorum_replication;
        o->quorum_view_change = s->quorum_view_change;
    }
    if (n > 2 && random_percent(r, 10)) o->recovery_quorum = 1;
    s->crash_limit = crash_limit_of(s);
}

static void draw_sizes(struct scenario *s, struct random *r)
{
    struct vsr_replica_options *o = &s->replica;
    const bool is_small = random_percent(r, s->profile->small_ring_percent);

    o->pipeline_max = PICK(r, 1, 2, 4, 8, 8);
    if (is_small) o->pipeline_max = PICK(r, 1, 2, 4);
    o->log_ops = power_of_two(4 * o->pipeline_max);
    if (!is_small) o->log_ops = power_of_two(o->log_ops * PICK(r, 1, 2, 8, 32));
    o->op_bytes_max = OP_BYTES + 8 * (uint32_t)random_below(r, 4);
    o->result_bytes_max = 8;
    o->batch_requests_max = PICK(r, 1, 2, 5, 16, 64);
    o->batch_bytes_max = (uint32_t)sizeof(struct vsr_prepare) + 64 * PICK(r, 1, 2, 8, 16);
    o->reply_bytes_max = (uint32_t)sizeof(struct vsr_header) + 48 * PICK(r, 1, 3, 10);
    o->replies_per_message = PICK(r, 0, 0, 1);
    o->queue_max = PICK(r, 1, 4, 16, 64);
    o->chunk_bytes_max = PICK(r, 1024, 1024, 2048, 8192);
    o->checkpoint_ops = random_percent(r, 4) ? 1 : PICK(r, 0, 0, 4, 16, 50);
    if (is_profile(s, "snapshot")) o->checkpoint_ops = PICK(r, 0, 2, 8, 20);
    if (is_profile(s, "overload")) o->queue_max = PICK(r, 1, 2, 4);
}

/** Clocks run at different rates, and a suspicion must not come from that alone. */
static void draw_timeouts(struct scenario *s, struct random *r)
{
    struct vsr_replica_options *o = &s->replica;

    s->skew_percent = PICK(r, 0, 2, 10, 30);
    o->heartbeat_ticks = PICK(r, 1, 1, 2, 3, 5);
    o->resend_ticks = PICK(r, 1, 3, 5, 8);
    o->suspect_ticks = 3 * o->heartbeat_ticks + 6 + (uint32_t)random_below(r, PICK(r, 4, 20));
    o->abdicate_ticks = 3 * o->heartbeat_ticks + 6 + (uint32_t)random_below(r, 30);
    s->turn_delay = PICK(r, 0, 0, 1, 20, 200);
    s->apply_delay = random_percent(r, 70) ? 0 : PICK(r, 1, 50, 500, 3000);
    s->persist_min = PICK(r, 0, 0, 10, 300);
    s->persist_jitter = PICK(r, 0, 10, 1000);
}

static void draw_network(struct scenario *s, struct random *r)
{
    s->delay_min = PICK(r, 1, 20, 50, 300);
    s->delay_jitter = PICK(r, 0, 50, 200, 800);
    if (s->profile->loss_percent_max == 0) return;
    if (random_percent(r, 50))
        s->loss_ppm = 10000 * (uint32_t)random_between(r, 0, s->profile->loss_percent_max);
    if (random_percent(r, 50)) s->duplicate_ppm = PICK(r, 1000, 20000, 100000, 300000);
    if (random_percent(r, 50)) s->tail_ppm = PICK(r, 1000, 20000, 200000);
    s->tail_mean = TICK * PICK(r, 1, 5, 30, 200);
}

static void draw_length(struct scenario *s, struct random *r)
{
    s->fault_ticks = random_between(r, 100, 900);
    if (random_percent(r, 5)) s->fault_ticks *= 4;
}

static void draw_load(struct scenario *s, struct random *r)
{
    struct load *l = &s->load;
    struct vsr_replica_options *o = &s->replica;

    l->clients = PICK(r, 1, 1, 2, 3, 5);
    l->sessions = PICK(r, 1, 2, 4, 8);
    l->keys = PICK(r, 1, 2, 4, 8, 16, 250);
    l->read_percent = PICK(r, 0, 20, 50);
    l->think_ticks = PICK(r, 0, 0, 1, 5, 30, 100);
    l->burst_ticks = random_percent(r, 20) ? PICK(r, 10, 50, 200) : 0;
    if (is_profile(s, "overload")) {
        l->clients = PICK(r, 3, 5, 8);
        l->think_ticks = PICK(r, 0, 0, 1);
    }
    l->goal = PICK(r, 50, 100, 200, 400, 400, 2000) / (l->clients * l->sessions) + 1;
    /* Half of the runs have something to do all the time. */
    if (random_percent(r, 50)) l->think_ticks = (uint32_t)(s->fault_ticks / l->goal);
    l->goal_end = PICK(r, 0, 1, 3);
    if (random_percent(r, 8)) l->goal = 0; /* nothing to do while things go wrong */

    const uint32_t all = l->clients * l->sessions;
    o->sessions_max = all + (uint32_t)random_below(r, all + 8);
    if (random_percent(r, is_profile(s, "overload") ? 50 : 15) && l->clients > 1)
        o->sessions_max = (uint32_t)random_between(r, l->sessions, all);

    struct vsr_client_options *c = &s->client;
    c->replica_count = o->replica_count;
    c->sessions = l->sessions;
    c->sessions_max = o->sessions_max;
    c->op_bytes_max = o->op_bytes_max;
    c->request_bytes_max = (uint32_t)sizeof(struct vsr_header) + 64 * PICK(r, 1, 4, 16);
    c->requests_per_message = PICK(r, 0, 0, 1, 2);
    c->retry_ticks = PICK(r, 5, 15, 40, 100);
    c->retry_doublings = PICK(r, 0, 2, 4);
    c->busy_ticks = PICK(r, 1, 2, 10);
}

/** Each run has a part of its profile's faults: a rare one then meets few others. */
static void draw_faults(struct scenario *s, struct random *r)
{
    s->has_victim = random_percent(r, 50);
    s->victim = (uint32_t)random_below(r, s->replica.replica_count);
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        const bool is_drawn = random_percent(r, is_profile(s, "mixed") ? 40 : 75);
        /* Between several and one in many suspicions. */
        const uint32_t period = s->replica.suspect_ticks * PICK(r, 1, 2, 5, 15);
        if ((s->profile->faults >> i & 1) != 0 && is_drawn) s->fault_period[i] = period;
    }
}

void scenario_draw(struct scenario *s, uint64_t seed, const struct profile *profile,
                   uint32_t replicas)
{
    struct random random = random_stream(seed, STREAM_SCENARIO);
    struct random *r = &random;

    *s = (struct scenario){.seed = seed, .profile = profile};
    vsr_replica_options_init(&s->replica);
    vsr_client_options_init(&s->client);
    s->replica.cluster = s->client.cluster = seed | 1;
    draw_quorums(s, r, replicas);
    draw_sizes(s, r);
    draw_timeouts(s, r);
    draw_network(s, r);
    draw_length(s, r);
    draw_load(s, r);
    draw_faults(s, r);
    conditions_draw(s);
}

void scenario_print(const struct scenario *s, FILE *file)
{
    const struct vsr_replica_options *o = &s->replica;

    fprintf(file,
            "%u replicas, Qr %u, Qv %u, recovery quorum %u, at most %u without memory; "
            "%u clients of %u sessions (%u at most), think %u, goal %u + %u\n",
            o->replica_count, s->quorum_replication, s->quorum_view_change, o->recovery_quorum,
            s->crash_limit, s->load.clients, s->load.sessions, o->sessions_max, s->load.think_ticks,
            s->load.goal, s->load.goal_end);
    fprintf(file,
            "ring %u, pipeline %u, checkpoint every %u, chunks of %u, queue %u, batch %u; "
            "ticks: heartbeat %u resend %u suspect %u abdicate %u, skew %u%%\n",
            o->log_ops, o->pipeline_max, o->checkpoint_ops, o->chunk_bytes_max, o->queue_max,
            o->batch_requests_max, o->heartbeat_ticks, o->resend_ticks, o->suspect_ticks,
            o->abdicate_ticks, s->skew_percent);
    fprintf(file,
            "delay %" PRIu64 "+%" PRIu64 ", loss %u ppm, doubled %u ppm, late %u ppm by %" PRIu64
            ", persist %" PRIu64 "+%" PRIu64 ", apply %" PRIu64 ", faults for %" PRIu64 " ticks:",
            s->delay_min, s->delay_jitter, s->loss_ppm, s->duplicate_ppm, s->tail_ppm, s->tail_mean,
            s->persist_min, s->persist_jitter, s->apply_delay, s->fault_ticks);
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        if (s->fault_period[i] != 0)
            fprintf(file, " %s/%u;", sim_fault_text((enum fault)i), s->fault_period[i]);
    fprintf(file, "\n");
    conditions_print(s, file);
}
