/**
 * See waits.h.
 */
#include "world.h"

#include <inttypes.h>
#include <string.h>

/** VSR_GET_STATE and so on: 0 for a type that is no question. */
static const uint8_t question_of[VSR_MESSAGE_COUNT] = {
#define X(asked, answer) [VSR_##asked] = 1 + QUESTION_##asked,
    SIM_QUESTIONS(X)
#undef X
};

static const uint8_t answered_of[VSR_MESSAGE_COUNT] = {
#define X(asked, answer) [VSR_##answer] = 1 + QUESTION_##asked,
    SIM_QUESTIONS(X)
#undef X
};

static const uint8_t type_of[QUESTION_COUNT] = {
#define X(asked, answer) [QUESTION_##asked] = VSR_##asked,
    SIM_QUESTIONS(X)
#undef X
};

static void forget_questions(struct world *w, struct host *h)
{
    h->waits.progress_at = w->now;
    memset(h->waits.asking, 0, sizeof h->waits.asking);
}

void waits_on_step(struct world *w, struct host *h)
{
    struct waits *x = &h->waits;
    const struct vsr_replica_report *now = &h->seen;

    if (x->applied == now->applied && x->op == now->op && x->commit == now->commit &&
        x->status == now->status && x->view == now->view && x->log_view == now->log_view)
        return;
    x->status = now->status;
    x->view = now->view;
    x->log_view = now->log_view;
    x->op = now->op;
    x->commit = now->commit;
    x->applied = now->applied;
    forget_questions(w, h);
}

void waits_on_chunk(struct world *w, struct host *h)
{
    forget_questions(w, h);
}

void waits_on_sent(struct world *w, struct host *h, uint8_t type, uint32_t to)
{
    const uint8_t question = type < VSR_MESSAGE_COUNT ? question_of[type] : 0;

    if (question == 0) return;
    struct asking *a = &h->waits.asking[question - 1];
    if (a->count++ == 0) a->since = w->now;
    a->to |= to;
}

void waits_on_heard(struct world *w, struct host *h, uint8_t type, uint64_t from,
                    enum vsr_drop outcome)
{
    const uint8_t question = type < VSR_MESSAGE_COUNT ? answered_of[type] : 0;

    if (from < VSR_REPLICAS_MAX && type != VSR_REQUEST) {
        h->waits.heard_at[from] = w->now;
        h->waits.heard_type[from] = type;
    }
    if (question == 0) return;
    struct asking *a = &h->waits.asking[question - 1];
    a->answers++;
    a->outcome = outcome;
}

static const char *condition_of(const struct host *h)
{
    if (h->driver.core == NULL) return h->is_frozen ? "down for good" : "down";
    if (h->is_paused) return h->is_frozen ? "paused for good" : "paused";
    return h->is_saving ? "busy with a snapshot" : "up";
}

static uint64_t ticks_since(const struct world *w, uint64_t time)
{
    return (w->now - time) / TICK;
}

/** What a primary needs to commit its next op. */
static void tell_acknowledged(struct world *w, const struct host *h)
{
    const struct vsr_replica_report *s = &h->seen;
    char text[100] = "";
    size_t length = 0;

    if (s->status != VSR_STATUS_NORMAL || !s->is_primary || s->commit == s->op) return;
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const uint64_t *acked = map_find(&w->ghost.acks, ghost_acks_key(w, s->view, i));
        if (i == h->index) continue;
        length += (size_t)snprintf(text + length, sizeof text - length, " %u: %" PRIu64, i,
                                   acked != NULL ? *acked : 0);
        if (length >= sizeof text) break;
    }
    journal_text(&w->journal, "  %u waits for acknowledgements of op %" PRIu64 "; sent it are%s",
                 h->index, s->commit + 1, text);
}

static void tell_questions(struct world *w, const struct host *h)
{
    for (uint32_t i = 0; i < QUESTION_COUNT; i++) {
        const struct asking *a = &h->waits.asking[i];
        if (a->count == 0) continue;
        journal_text(&w->journal,
                     "  %u waits since %" PRIu64 " ticks for an answer of %#x to %s, sent %" PRIu64
                     " times; answers %" PRIu64 "%s%s",
                     h->index, ticks_since(w, a->since), a->to, vsr_message_name(type_of[i]),
                     a->count, a->answers, a->answers > 0 ? ", the last: " : "",
                     a->answers > 0 ? vsr_drop_text(a->outcome) : "");
    }
}

static void tell_heard(struct world *w, const struct host *h)
{
    char text[120] = "";
    size_t length = 0;

    for (uint32_t i = 0; i < world_replicas(w) && length < sizeof text; i++)
        if (i != h->index && h->waits.heard_at[i] != 0)
            length += (size_t)snprintf(text + length, sizeof text - length, " %u: %s %" PRIu64, i,
                                       vsr_message_name(h->waits.heard_type[i]),
                                       ticks_since(w, h->waits.heard_at[i]));
    if (length > 0) journal_text(&w->journal, "  %u heard last, ticks ago:%s", h->index, text);
}

static void tell_clients(struct world *w)
{
    for (uint32_t i = 0; i < w->scenario.load.clients; i++) {
        struct vsr_client_report report;
        vsr_client_report(w->clients[i].core, &report);
        journal_text(
            &w->journal,
            "client %u: %u ready, %u waiting, %u registering, %u tries, thinks view %" PRIu64, i,
            report.ready, report.waiting, report.registering, (unsigned)report.oldest_attempts,
            report.view_hint);
#define X(name, help) journal_text(&w->journal, "  %" PRIu64 " %s", report.name, help);
        VSR_CLIENT_COUNTERS(X)
#undef X
    }
}

void waits_tell(struct world *w)
{
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        const struct vsr_replica_report *s = &h->seen;
        journal_text(
            &w->journal,
            "%u: %s, %s%s, view %" PRIu64 " log view %" PRIu64 ", log %" PRIu64 "..%" PRIu64
            " commit %" PRIu64 " applied %" PRIu64 "%s; progress %" PRIu64 " ticks ago",
            i, condition_of(h), vsr_status_name(s->status), s->is_primary ? " primary" : "",
            s->view, s->log_view, s->log_start + 1, s->op, s->commit, s->applied,
            s->is_behind_log ? ", behind the log" : "", ticks_since(w, h->waits.progress_at));
        if (h->driver.core == NULL || h->is_frozen) continue;
        tell_acknowledged(w, h);
        tell_questions(w, h);
        tell_heard(w, h);
    }
    tell_clients(w);
}
