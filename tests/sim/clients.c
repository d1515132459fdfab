/**
 * The clients: real client cores, their load, and the history of their calls.
 */
#include "world.h"

#include "assert.h"

#include <vsr/counter.h>

#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_WORDS_MAX = 2 + 4 + 500 };

static struct call *new_call(struct world *w)
{
    if (w->call_count == w->call_capacity) {
        w->call_capacity = w->call_capacity == 0 ? 1024 : w->call_capacity * 2;
        w->calls = realloc(w->calls, w->call_capacity * sizeof *w->calls);
        VSR_ASSERT(w->calls != NULL);
    }
    struct call *call = &w->calls[w->call_count++];
    *call = (struct call){0};
    return call;
}

/** What a call of the client's core has brought, before the next call. */
static void gather(struct client_host *c)
{
    struct vsr_client_effects *todo = &c->todo;

    if (todo->count + c->effects.count > todo->capacity) {
        todo->capacity = 2 * (todo->count + c->effects.count);
        todo->list = realloc(todo->list, todo->capacity * sizeof *todo->list);
        VSR_ASSERT(todo->list != NULL);
    }
    for (uint32_t i = 0; i < c->effects.count; i++)
        todo->list[todo->count++] = c->effects.list[i];
    c->effects.count = 0;
}

static uint64_t think(struct world *w)
{
    const struct load *l = &w->scenario.load;
    uint64_t due = w->now;

    if (l->think_ticks > 0 && (!w->has_ended || l->is_steady))
        due += random_exponential(&w->client_random, (uint64_t)l->think_ticks * TICK);
    if (l->burst_ticks > 0 && !w->has_ended) {
        const uint64_t burst = (uint64_t)l->burst_ticks * TICK;
        due = (due / burst + 1) * burst;
    }
    return due;
}

/** Words that hashes begin or multiply with: absorbed as data they may cancel the state. */
static const uint64_t hash_words[] = {
    0,
    UINT64_MAX,
    0x6A09E667F3BCC909ull, /* SHA-512's first values: fractions of square roots */
    0xBB67AE8584CAA73Bull,
    0x3C6EF372FE94F82Bull,
    0xA54FF53A5F1D36F1ull,
    0x9E3779B185EBCA87ull, /* XXH64's and XXH3's primes */
    0xC2B2AE3D27D4EB4Full,
    0x165667B19E3779F9ull,
    0x85EBCA77C2B2AE63ull,
    0x27D4EB2F165667C5ull,
    0x1CAD21F72C81017Cull, /* the secret of XXH3 */
    0xBE4BA423396CFEB8ull,
    0xDB979083E9ED5CB6ull,
    0x9E3779B97F4A7C15ull, /* splitmix64 */
    0xCBF29CE484222325ull, /* FNV-1a */
};

/** Words behind the operation. The first tells calls apart, where there is room for it. */
static void fill(struct world *w, uint64_t *words, uint32_t bytes)
{
    const uint32_t count = bytes / 8;
    const uint64_t kind = random_below(&w->cost_random, 3);

    for (uint32_t i = 0; i < count; i++) {
        const uint64_t word = random_next(&w->cost_random);
        words[i] = kind == 0 ? word : hash_words[word % (sizeof hash_words / sizeof *hash_words)];
        if (kind == 2 && word >> 60 != 0) words[i] = hash_words[2 + (i & 3)];
    }
    if (count > 0) words[0] ^= w->call_count << 32;
}

static uint32_t make_payload(struct world *w, uint64_t *payload, const struct vsr_counter_add *add,
                             uint32_t extra)
{
    memset(payload, 0, sizeof *add + VSR_PADDED(extra));
    memcpy(payload, add, sizeof *add);
    if (scenario_has(&w->scenario, CONDITION_PAYLOADS))
        fill(w, payload + 2, extra);
    else if (extra >= sizeof *payload)
        payload[2] = w->call_count;
    return (uint32_t)sizeof *add + extra;
}

static void submit(struct world *w, uint32_t client, uint32_t session)
{
    const struct load *l = &w->scenario.load;
    struct client_host *c = &w->clients[client];
    struct client_session *s = &c->sessions[session];
    struct random *r = &w->client_random;
    uint64_t payload[PAYLOAD_WORDS_MAX];
    struct vsr_counter_add add = {.index = random_below(r, l->keys)};
    const uint32_t extra =
        (uint32_t)random_below(r, w->scenario.replica.op_bytes_max - sizeof add + 1);

    if (s->submitted >= w->load_goal || (s->due > w->now && (!w->has_ended || l->is_steady)) ||
        vsr_client_session_state(c->core, session) != VSR_SESSION_READY)
        return;
    if (!random_percent(r, l->read_percent)) add.amount = random_between(r, 1, 3);
    struct call *call = new_call(w);
    const uint32_t bytes = make_payload(w, payload, &add, extra);
    call->invoked = ++w->history_clock;
    call->key = add.index;
    call->amount = add.amount;
    call->tag = reference_tag(payload, bytes);
    s->call = w->call_count;
    s->since = w->now;
    s->submitted++;
    w->stats.counts[COUNT_CALLS]++;
    int error = vsr_client_submit(c->core, session, payload, bytes, &c->effects);
    VSR_ASSERT(error == 0);

    gather(c);
}

/** The reply is to the operation that was asked, and not to another's of the same number. */
static void check_owner(struct world *w, const struct call *call, const void *result)
{
    const struct vsr_reply *reply = (const struct vsr_reply *)result - 1;
    const struct reference_session *s =
        reference_find(&w->ghost.reference, reply->session, reply->slot);

    if (s == NULL || reply->number == 0 || reply->number > s->number)
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "I17: a client takes a result of session %llu, request %llu: not executed",
                     (unsigned long long)reply->session, (unsigned long long)reply->number);
    if (s->results[reply->number - 1].tag != call->tag)
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "I17: a client takes the result of another's operation: session %llu, "
                     "request %llu",
                     (unsigned long long)reply->session, (unsigned long long)reply->number);
}

static void on_result(struct world *w, struct client_session *s,
                      const struct vsr_client_effect *effect)
{
    VSR_ASSERT(s->call != 0);
    struct call *call = &w->calls[s->call - 1];

    if (!w->has_lied) {
        if (effect->result_bytes != sizeof call->result)
            journal_fail(&w->journal, OUTCOME_INVARIANT, "I17: a result of %u bytes instead of 8",
                         effect->result_bytes);
        memcpy(&call->result, effect->result, sizeof call->result);
        check_owner(w, call, effect->result);
    }
    call->returned = ++w->history_clock;
    call->is_known = true;
    s->call = 0;
    s->due = think(w);
    w->stats.counts[COUNT_ANSWERS]++;
}

/** Its call never was: neither a result nor an effect of it may ever be seen. */
static void on_not_executed(struct world *w, struct client_session *s)
{
    VSR_ASSERT(s->call != 0);
    w->calls[s->call - 1].is_void = true;
    s->call = 0;
    s->submitted--;
    s->due = w->now;
}

/** The list grows while it is walked: submits append to it. */
static void perform(struct world *w, uint32_t client)
{
    struct client_host *c = &w->clients[client];

    gather(c);
    for (uint32_t i = 0; i < c->todo.count; i++) {
        const struct vsr_client_effect e = c->todo.list[i];
        struct client_session *s = &c->sessions[e.session];
        switch (e.kind) {
        case VSR_CLIENT_SEND:
            network_from_client(w, client, e.to, e.buffer);
            break;
        case VSR_CLIENT_OPENED:
            s->due = think(w);
            submit(w, client, e.session);
            break;
        case VSR_CLIENT_RESULT:
            on_result(w, s, &e);
            submit(w, client, e.session);
            break;
        case VSR_CLIENT_EVICTED:
            s->call = 0; /* unknown for ever */
            break;
        case VSR_CLIENT_NOT_EXECUTED:
            on_not_executed(w, s);
            break;
        case VSR_CLIENT_CLOSED:
            break; /* Only of clients that leave; see client_restart. */
        case VSR_CLIENT_REFUSED:
            if (!scenario_has(&w->scenario, CONDITION_TWINS) && !w->has_lied)
                journal_fail(&w->journal, OUTCOME_INVARIANT, "5.4: a random client id was refused");
            w->stats.counts[COUNT_REFUSED_SESSIONS]++;
            s->call = 0;
            break;
        }
    }
    c->todo.count = 0;
}

static void start(struct world *w, uint32_t index)
{
    struct client_host *c = &w->clients[index];
    struct vsr_client_options o = w->scenario.client;

    o.address = CLIENT_ADDRESS + index;
    o.id[0] = random_next(&w->client_random);
    o.id[1] = random_next(&w->client_random);
    /* The second is the first's twin, until one of them restarts. */
    if (index == 1 && c->life == 0 && scenario_has(&w->scenario, CONDITION_TWINS))
        memcpy(o.id, w->clients[0].id, sizeof o.id);
    memcpy(c->id, o.id, sizeof o.id);
    o.buffers = pool_buffers(&c->source);
    if (c->memory == NULL) {
        int error = vsr_client_options_check(&o, NULL);
        VSR_ASSERT(error == 0);

        c->memory_bytes = (vsr_client_bytes(&o) + 63) & ~(size_t)63;
        c->memory = aligned_alloc(64, c->memory_bytes);
        c->effects.capacity = vsr_client_effects_max(&o);
        c->effects.list = calloc(c->effects.capacity, sizeof *c->effects.list);
        c->sessions = calloc(w->scenario.load.sessions, sizeof *c->sessions);
        VSR_ASSERT(c->memory != NULL && c->effects.list != NULL && c->sessions != NULL);
    }
    memset(c->memory, 0, c->memory_bytes);
    c->core = vsr_client_init(c->memory, &o);
    c->life++;
    vsr_client_open(c->core, &c->effects);
    gather(c);
    vsr_client_turn_end(c->core, &c->effects);
    perform(w, index);
    queue_push(&w->queue, (struct event){.time = w->now + TICK,
                                         .kind = EVENT_CLIENT_TICK,
                                         .target = (uint16_t)index,
                                         .life = c->life});
}

void clients_start(struct world *w)
{
    w->load_goal = w->scenario.load.goal;
    for (uint32_t i = 0; i < w->scenario.load.clients; i++) {
        w->clients[i].source = (struct pool_source){
            .pool = &w->pool,
            .random = random_stream(w->scenario.seed, STREAM_POOL + VSR_REPLICAS_MAX + i),
        };
        start(w, i);
    }
}

static void count(struct world *w, const struct client_host *c)
{
    struct vsr_client_report report;

    vsr_client_report(c->core, &report);
    w->stats.counts[COUNT_RETRIES] += report.retries;
    w->stats.counts[COUNT_BUSY] += report.busy;
    w->stats.counts[COUNT_CLIENT_EVICTIONS] += report.evicted;
}

/** A new process with new client ids; what its predecessor had asked is unknown for ever. */
void client_restart(struct world *w, uint32_t index)
{
    struct client_host *c = &w->clients[index];

    journal_text(&w->journal, "client %u restarts", index);
    /* Half of them say good-bye; whether anybody hears it is the network's. */
    if (random_percent(&w->client_random, 50)) {
        vsr_client_leave(c->core, &c->effects);
        vsr_client_turn_end(c->core, &c->effects);
        perform(w, index);
    }
    count(w, c);
    vsr_client_deinit(c->core);
    for (uint32_t i = 0; i < w->scenario.load.sessions; i++)
        c->sessions[i].call = 0;
    start(w, index);
}

void client_deinit(struct world *w, struct client_host *c)
{
    count(w, c);
    vsr_client_deinit(c->core);
    free(c->memory);
    free(c->effects.list);
    free(c->todo.list);
    free(c->sessions);
}

static void on_tick(struct world *w, uint32_t index)
{
    struct client_host *c = &w->clients[index];

    queue_push(&w->queue, (struct event){.time = w->now + TICK,
                                         .kind = EVENT_CLIENT_TICK,
                                         .target = (uint16_t)index,
                                         .life = c->life});
    vsr_client_tick(c->core, &c->effects);
    perform(w, index);
    for (uint32_t i = 0; i < w->scenario.load.sessions; i++)
        submit(w, index, i);
    vsr_client_turn_end(c->core, &c->effects);
    perform(w, index);
}

void clients_on_event(struct world *w, const struct event *event)
{
    const uint32_t index = event->target;
    struct client_host *c = &w->clients[index];

    if (event->kind == EVENT_CLIENT_TICK) {
        if (event->life == c->life) on_tick(w, index);
        return;
    }
    if (event->buffer.header->type < VSR_MESSAGE_COUNT)
        w->stats.delivered[event->buffer.header->type]++;
    journal_message(&w->journal, NOTE_DELIVERED, event->buffer.header, (int16_t)(-1 - (int)index),
                    0);
    journal_reason(&w->journal, VSR_DROP_NONE);
    vsr_client_receive(c->core, event->buffer.header, &c->effects);
    perform(w, index);
    vsr_client_turn_end(c->core, &c->effects);
    perform(w, index);
    pool_unref(&w->pool, event->buffer);
}

void clients_forget_goal(struct world *w)
{
    for (uint32_t i = 0; i < w->scenario.load.clients; i++)
        for (uint32_t k = 0; k < w->scenario.load.sessions; k++)
            w->clients[i].sessions[k].submitted = w->load_goal;
}

uint64_t clients_wait_since(const struct world *w)
{
    uint64_t since = UINT64_MAX;

    for (uint32_t i = 0; i < w->scenario.load.clients; i++)
        for (uint32_t k = 0; k < w->scenario.load.sessions; k++) {
            const struct client_session *s = &w->clients[i].sessions[k];
            if (s->call != 0 && s->since < since) since = s->since;
        }
    return since;
}

bool clients_are_done(const struct world *w)
{
    for (uint32_t i = 0; i < w->scenario.load.clients; i++) {
        const struct client_host *c = &w->clients[i];
        for (uint32_t k = 0; k < w->scenario.load.sessions; k++) {
            const enum vsr_session_state state = vsr_client_session_state(c->core, k);
            if (state == VSR_SESSION_CLOSED) continue; /* refused: it is another's */
            if (state != VSR_SESSION_READY) return false;
            if (c->sessions[k].submitted < w->load_goal) return false;
        }
    }
    return true;
}
