/**
 * Drawing what a run is like from its beginning to its end: standing cuts, slow links, load that
 * goes on, snapshots that cost something. See SIM_CONDITIONS.
 */
#include "scenario.h"

#include "assert.h"

#include <inttypes.h>

#define X(name, is_on, text) [CONDITION_##name] = text,
static const char *const condition_texts[CONDITION_COUNT] = {SIM_CONDITIONS(X)};
#undef X

#define X(name, is_on, text) (uint32_t)(is_on) << CONDITION_##name |
static const uint32_t switched_on = SIM_CONDITIONS(X) 0;
#undef X

const char *sim_condition_text(enum condition condition)
{
    return condition_texts[condition];
}

static bool is_about(const struct profile *profile, enum condition condition)
{
    return (profile->conditions >> condition & 1) != 0;
}

bool sim_may_draw(const struct profile *profile, enum condition condition)
{
    const bool is_calm = profile->faults == 0;

    return is_about(profile, condition) || ((switched_on >> condition & 1) != 0 && !is_calm);
}

/** Rules hold in every run that may have them; the rest is drawn. */
static uint32_t percent_of(const struct scenario *s, enum condition condition)
{
    if (condition == CONDITION_NO_FALSE_FORK || condition == CONDITION_STAYS) return 100;
    if (condition == CONDITION_LIES) return is_about(s->profile, condition) ? 100 : 0;
    if (condition == CONDITION_CROWD) return is_about(s->profile, condition) ? 100 : 2;
    return is_about(s->profile, condition) ? 75 : 12;
}

static uint32_t pick(struct random *r, const uint32_t *values, uint32_t count)
{
    return values[random_below(r, count)];
}

/** One of the values, each as likely. */
#define PICK(random, ...)                                                                          \
    pick(random, (const uint32_t[]){__VA_ARGS__},                                                  \
         sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* Cuts. */

enum cut_kind {
    CUT_DEAF,           /* hears nobody */
    CUT_MUTE,           /* is heard by nobody */
    CUT_GONE,           /* both */
    CUT_DEAF_TO_CORE,   /* hears other outsiders only */
    CUT_SOME_WAYS,      /* each direction by chance */
    CUT_SOME_PAIRS,     /* each pair by chance, both ways */
    CUT_FROM_ALL_BUT_1, /* connected with one replica of the core */
    CUT_KINDS
};

static void cut_link(struct standing *c, uint32_t from, uint32_t to)
{
    c->cut[from] |= (uint8_t)(1u << to);
}

/** Draws the cuts of an outsider's links with one other replica. */
static void cut_pair(struct standing *c, struct random *r, enum cut_kind kind, uint32_t one,
                     uint32_t other, uint32_t friend)
{
    const bool is_core = (c->outsiders >> other & 1) == 0;
    const bool cuts_in = random_percent(r, 50), cuts_out = random_percent(r, 50);

    if (kind == CUT_DEAF || kind == CUT_GONE) cut_link(c, other, one);
    if (kind == CUT_MUTE || kind == CUT_GONE) cut_link(c, one, other);
    if (kind == CUT_DEAF_TO_CORE && is_core) cut_link(c, other, one);
    if (kind == CUT_SOME_WAYS && cuts_in) cut_link(c, other, one);
    if (kind == CUT_SOME_WAYS && cuts_out) cut_link(c, one, other);
    const bool is_whole =
        (kind == CUT_SOME_PAIRS && cuts_in) || (kind == CUT_FROM_ALL_BUT_1 && other != friend);
    if (!is_whole) return;
    cut_link(c, one, other);
    cut_link(c, other, one);
}

static bool draw_cuts(struct scenario *s, struct random *r)
{
    struct standing *c = &s->standing;
    const uint32_t n = s->replica.replica_count;
    const uint32_t spare = n - scenario_core(s);

    if (spare == 0) return false;
    const uint32_t count = (uint32_t)random_between(r, 1, spare);
    if (random_percent(r, 40)) c->outsiders = 1; /* the first primary */
    while ((uint32_t)__builtin_popcount(c->outsiders) < count)
        c->outsiders |= 1u << random_below(r, n);
    const enum cut_kind common = (enum cut_kind)random_below(r, CUT_KINDS);
    for (uint32_t i = 0; i < n; i++) {
        if ((c->outsiders >> i & 1) == 0) continue;
        const enum cut_kind kind =
            random_percent(r, 60) ? common : (enum cut_kind)random_below(r, CUT_KINDS);
        const uint32_t friend = (uint32_t)random_below(r, n);
        for (uint32_t k = 0; k < n; k++)
            if (k != i) cut_pair(c, r, kind, i, k, friend);
    }
    c->from_ticks = random_percent(r, 30) ? 0 : random_below(r, s->fault_ticks * 3 / 4);
    return true;
}

static bool draw_trigger(struct scenario *s, struct random *r)
{
    if (s->standing.outsiders == 0) return false;
    s->standing.trigger =
        (uint8_t)PICK(r, VSR_GET_CHUNK, VSR_GET_CHUNK, VSR_GET_CHUNK, VSR_GET_STATE, VSR_RECOVERY,
                      VSR_START_VIEW_CHANGE, VSR_DO_VIEW_CHANGE, VSR_PREPARE_OK);
    return true;
}

/* Links. */

static bool draw_slow_links(struct scenario *s, struct random *r)
{
    struct vsr_replica_options *o = &s->replica;

    s->link_units = (uint64_t)o->resend_ticks * TICK * random_between(r, 52, 250) / 100;
    /* The other timers are as an operator sets them who knows his network. */
    const uint32_t least = (uint32_t)(4 * scenario_round_trip(s)) + 3 * o->heartbeat_ticks;
    o->suspect_ticks += least;
    o->abdicate_ticks += least;
    s->fault_ticks += 20 * (uint64_t)o->suspect_ticks;
    return true;
}

static bool draw_crawling_links(struct scenario *s, struct random *r)
{
    if (scenario_has(s, CONDITION_SLOW_LINKS)) return false;
    s->link_units = (uint64_t)s->replica.suspect_ticks * TICK * random_between(r, 60, 250) / 100;
    s->fault_ticks += 40 * (uint64_t)s->replica.suspect_ticks;
    return true;
}

/* Load. */

static bool draw_steady_load(struct scenario *s, struct random *r)
{
    struct load *l = &s->load;

    l->is_steady = true;
    if (l->think_ticks == 0 || l->think_ticks > 5) l->think_ticks = PICK(r, 1, 1, 2, 5);
    l->goal = UINT32_MAX / 2;
    l->burst_ticks = 0;
    l->keys = PICK(r, 16, 60, 250);
    /* Most rings go round several times, the longest once. */
    l->goal_end = (uint32_t)(s->replica.log_ops * PICK(r, 1, 2, 3) + 20);
    if (l->goal_end > 600) l->goal_end = s->replica.log_ops + 20;
    return true;
}

/** Each op is committed in the step that prepares it: no pipeline holds a message's requests back.
 */
static void commit_at_once(struct scenario *s)
{
    struct vsr_replica_options *o = &s->replica;

    o->quorum_replication = s->quorum_replication = 1;
    o->quorum_view_change = s->quorum_view_change = o->replica_count;
    o->recovery_quorum = 0;
    s->crash_limit = 0;
    o->batch_requests_max = 1;
    o->log_ops = 1024;
}

static bool draw_crowd(struct scenario *s, struct random *r)
{
    struct load *l = &s->load;
    struct vsr_client_options *c = &s->client;

    /* Nor what a backlog of a thousand ops, one in a round trip, takes longer for than patience. */
    if (l->is_steady || s->link_units != 0 || scenario_has(s, CONDITION_TWINS)) return false;
    l->clients = PICK(r, 1, 1, 2);
    l->sessions = PICK(r, 100, 250, 400) / l->clients;
    l->goal = PICK(r, 2, 4, 8);
    l->keys = 250;
    l->burst_ticks = PICK(r, 0, 10, 50);
    s->replica.batch_requests_max = PICK(r, 1, 1, 1, 2, 5, 64);
    s->replica.queue_max = PICK(r, 16, 64, 512);
    s->replica.sessions_max = c->sessions_max =
        l->clients * l->sessions + (uint32_t)random_below(r, 20);
    c->sessions = l->sessions;
    c->request_bytes_max = 64 + 48 * PICK(r, 20, 400, 400);
    if (c->request_bytes_max < 64 + 24 + 24 + s->replica.op_bytes_max)
        c->request_bytes_max = 64 + 24 + 24 + s->replica.op_bytes_max;
    c->requests_per_message = PICK(r, 0, 0, 0, 1);
    s->replica.reply_bytes_max = (uint32_t)sizeof(struct vsr_header) + 48 * PICK(r, 1, 10, 400);
    /* With Qv = N there is no core but all of them: no link may be cut for good then. */
    if (s->replica.replica_count > 2 && random_percent(r, 40) && s->standing.outsiders == 0)
        commit_at_once(s);
    return true;
}

/* Snapshots. */

static bool draw_large_snapshots(struct scenario *s, struct random *r)
{
    s->snapshots.ballast_words = PICK(r, 512, 2048, 8192);
    s->replica.chunk_bytes_max = 1024;
    s->replica.checkpoint_ops = PICK(r, 0, 0, 2, 4, 8, 20);
    return true;
}

static bool draw_slow_snapshots(struct scenario *s, struct random *r)
{
    const uint64_t suspect = (uint64_t)s->replica.suspect_ticks * TICK;

    s->snapshots.save_units = suspect * PICK(r, 5, 30, 120) / 100;
    s->snapshots.load_units = suspect * PICK(r, 5, 30, 120) / 100;
    return true;
}

static bool draw_failing_snapshots(struct scenario *s, struct random *r)
{
    s->snapshots.fail_ppm = PICK(r, 50000, 200000, 500000);
    return true;
}

static bool draw_never_saves(struct scenario *s, struct random *r)
{
    const uint32_t spare = s->replica.replica_count - scenario_core(s);

    if (spare == 0 || s->standing.outsiders != 0) return false;
    s->snapshots.never_saves = 1u << random_below(r, s->replica.replica_count);
    return true;
}

/* Contents. */

static bool draw_payloads(struct scenario *s, struct random *r)
{
    struct vsr_replica_options *o = &s->replica;

    o->op_bytes_max += 8 * PICK(r, 4, 12, 60, 60, 500);
    s->client.op_bytes_max = o->op_bytes_max;
    const uint32_t request = (uint32_t)sizeof(struct vsr_request) + o->op_bytes_max;
    o->batch_bytes_max += request;
    s->client.request_bytes_max += request;
    return true;
}

static bool draw_high_numbers(struct scenario *s, struct random *r)
{
    static const vsr_view first_views[] = {UINT32_MAX - 1, (UINT64_MAX >> 1) - 1,
                                           VSR_VIEW_MAX - 4096};

    s->first_view = first_views[random_below(r, 3)];
    return true;
}

static bool draw_twins(struct scenario *s, struct random *r)
{
    (void)r;
    return s->load.clients >= 2 && s->load.sessions < 50;
}

static bool draw_garbled(struct scenario *s, struct random *r)
{
    s->garbled_ppm = PICK(r, 500, 5000, 30000);
    return true;
}

/** The operator has chosen to wait for it; else it may be left behind. */
static bool draw_keeps_up(struct scenario *s, struct random *r)
{
    (void)r;
    s->replica.catch_up_ticks = 40 * s->replica.suspect_ticks;
    return true;
}

static bool draw_nothing(struct scenario *s, struct random *r)
{
    (void)s;
    (void)r;
    return true;
}

/** Whoever says that it does not fit leaves the scenario as it was. */
static bool (*const drawers[CONDITION_COUNT])(struct scenario *s, struct random *r) = {
    [CONDITION_CUTS] = draw_cuts,
    [CONDITION_SLOW_LINKS] = draw_slow_links,
    [CONDITION_CRAWLING_LINKS] = draw_crawling_links,
    [CONDITION_STEADY_LOAD] = draw_steady_load,
    [CONDITION_CUT_AT_MESSAGE] = draw_trigger,
    [CONDITION_KEEPS_UP] = draw_keeps_up,
    [CONDITION_LARGE_SNAPSHOTS] = draw_large_snapshots,
    [CONDITION_SLOW_SNAPSHOTS] = draw_slow_snapshots,
    [CONDITION_FAILING_SNAPSHOTS] = draw_failing_snapshots,
    [CONDITION_NEVER_SAVES] = draw_never_saves,
    [CONDITION_PAYLOADS] = draw_payloads,
    [CONDITION_HIGH_NUMBERS] = draw_high_numbers,
    [CONDITION_TWINS] = draw_twins,
    [CONDITION_MALFORMED] = draw_garbled,
    [CONDITION_LIES] = draw_garbled,
    [CONDITION_CROWD] = draw_crowd,
    [CONDITION_STAYS] = draw_keeps_up,
    [CONDITION_NO_FALSE_FORK] = draw_nothing,
};

/** Of the ballast alone. */
static uint64_t snapshot_chunks(const struct scenario *s)
{
    return s->snapshots.ballast_words * 8 / s->replica.chunk_bytes_max;
}

void conditions_draw(struct scenario *s)
{
    for (uint32_t i = 0; i < CONDITION_COUNT; i++) {
        /* Each has a stream of its own: one more leaves the runs as they were. */
        struct random r = random_stream(s->seed, STREAM_CONDITIONS + i);
        if (!sim_may_draw(s->profile, (enum condition)i)) continue;
        if (!random_percent(&r, percent_of(s, (enum condition)i))) continue;
        if (drawers[i](s, &r)) s->conditions |= 1u << i;
    }
    /* What was drawn later has left the core that the cuts were drawn around. */
    VSR_ASSERT((uint32_t)__builtin_popcount(s->standing.outsiders) + scenario_core(s) <=
               s->replica.replica_count);
    struct random r = random_stream(s->seed, STREAM_PLACES);
    const uint32_t catch_up_ticks = PICK(&r, 0, 0, 1, 50);
    /* An operator who knows his network waits for as long as some snapshots take there. */
    if (scenario_has(s, CONDITION_KEEPS_UP) && scenario_has(s, CONDITION_CRAWLING_LINKS))
        s->replica.catch_up_ticks +=
            (uint32_t)(4 * scenario_round_trip(s) * (8 + snapshot_chunks(s)));
    /* Who is away for longer than that with a snapshot is rightly voted out. */
    const bool is_away = s->snapshots.save_units + s->snapshots.load_units != 0;
    if (s->replica.catch_up_ticks == 0 && !is_away) s->replica.catch_up_ticks = catch_up_ticks;
    s->is_local = s->garbled_ppm == 0 && random_percent(&r, 50);
}

/* Words. */

/** Whether the table has fewer places than there are sessions. */
static bool is_crowded(const struct scenario *s)
{
    return s->replica.sessions_max < s->load.clients * s->load.sessions;
}

uint64_t scenario_patience_ticks(const struct scenario *s)
{
    const struct vsr_replica_options *o = &s->replica;
    const uint64_t longest =
        o->suspect_ticks > o->abdicate_ticks ? o->suspect_ticks : o->abdicate_ticks;
    const uint64_t trip = s->link_units == 0 ? 0 : scenario_round_trip(s);
    const uint64_t snapshot = (s->snapshots.save_units + s->snapshots.load_units) / TICK;

    /* Sessions that evict each other wait up to 2^8 times as long. Rule 5.3. */
    const uint64_t evictions = is_crowded(s) ? 2 * ((uint64_t)s->client.retry_ticks << 8) : 0;

    return 200 + evictions + 120 * longest + 200 * trip + 60 * snapshot +
           snapshot_chunks(s) * (4 + 2 * trip + o->resend_ticks / 4) +
           6 * ((uint64_t)s->client.retry_ticks << s->client.retry_doublings) +
           s->tail_mean / TICK * 20;
}

uint64_t scenario_backlog_ticks(const struct scenario *s)
{
    const uint32_t every = s->replica.checkpoint_ops;
    /* What is wanted, and what is committed and not executed yet. */
    const uint64_t requests =
        (uint64_t)s->load.clients * s->load.sessions * (s->load.goal_end + 1) + s->replica.log_ops;
    uint64_t units =
        s->apply_delay + s->delay_min + s->delay_jitter + s->turn_delay + s->link_units;

    const bool saves = every != 0 && s->snapshots.save_units != 0;
    /* How many requests are on their way at once: one where each may wait for a save or a Register.
     */
    const bool is_serial = saves || is_crowded(s) || scenario_has(s, CONDITION_CROWD);
    const uint64_t together =
        is_serial ? 1 : (uint64_t)s->replica.batch_requests_max * s->replica.pipeline_max;
    if (!is_serial && s->link_units == 0) return 0;
    /* The primary and a backup of its quorum may save one after the other. */
    if (saves) units += 2 * s->snapshots.save_units / every;
    /* Sessions that evict each other need a Register for each request. */
    return (is_crowded(s) ? 2 : 1) * requests * (2 * units / TICK + 1) / together;
}

void conditions_print(const struct scenario *s, FILE *file)
{
    const struct standing *c = &s->standing;

    if (s->replica.catch_up_ticks != 0)
        fprintf(file, "waits %u ticks for who catches up\n", s->replica.catch_up_ticks);
    for (uint32_t i = 0; i < CONDITION_COUNT; i++)
        if (scenario_has(s, (enum condition)i) && i != CONDITION_NO_FALSE_FORK)
            fprintf(file, "all the time: %s\n", condition_texts[i]);
    if (c->outsiders != 0) {
        fprintf(file, "cut for good from tick %" PRIu64 ", or the next %s:", c->from_ticks,
                c->trigger != 0 ? vsr_message_name(c->trigger) : "moment");
        for (uint32_t i = 0; i < s->replica.replica_count; i++)
            for (uint32_t k = 0; k < s->replica.replica_count; k++)
                if ((c->cut[i] >> k & 1) != 0) fprintf(file, " %u->%u", i, k);
        fprintf(file, "\n");
    }
    if (s->link_units != 0)
        fprintf(file, "each message takes %" PRIu64 " ticks more, a round trip %" PRIu64 "\n",
                s->link_units / TICK, scenario_round_trip(s));
    if (s->snapshots.ballast_words + s->snapshots.save_units + s->snapshots.fail_ppm +
            s->snapshots.never_saves !=
        0)
        fprintf(file,
                "snapshots: %u bytes more, save %" PRIu64 ", load %" PRIu64
                " units, %u ppm fail, saves of %#x all\n",
                s->snapshots.ballast_words * 8, s->snapshots.save_units, s->snapshots.load_units,
                s->snapshots.fail_ppm, s->snapshots.never_saves);
}
