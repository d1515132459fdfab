/**
 * One line per message. See vsr/trace.h.
 */
#include <vsr/trace.h>

#include "message.h" /* the readers of the core */

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Where the line is written, and how long it would be with room enough. */
struct line {
    char *text;
    size_t bytes;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    const size_t used = line->length < line->bytes ? line->length : line->bytes;
    va_list arguments;

    va_start(arguments, format);
    char *at =
        line->text != NULL ? line->text + used : NULL; /* without a text only the length counts */
    int length = vsnprintf(at, line->bytes - used, format, arguments);
    va_end(arguments);
    if (length > 0) line->length += (size_t)length;
}

/** Enough of a checksum to tell two apart. */
static unsigned brief(uint64_t checksum)
{
    return (unsigned)(checksum >> 48);
}

static void add_prepare(struct line *line, const struct vsr_header *m)
{
    const struct vsr_prepare *p = vsr_read_prepare(m);

    add(line,
        " op %" PRIu64 "#%04x parent #%04x of view %" PRIu64 ", commit %" PRIu64 ", %" PRIu32 " %s",
        p->entry.op, brief(p->entry.checksum), brief(p->entry.parent_checksum), p->entry.view,
        p->commit, m->count, vsr_kind_text(p->entry.kind));
}

static void add_normal(struct line *line, const struct vsr_header *m)
{
    if (m->type == VSR_PREPARE) {
        add_prepare(line, m);
    } else if (m->type == VSR_PREPARE_OK) {
        const struct vsr_prepare_ok *ok = vsr_read_prepare_ok(m);
        add(line, " op %" PRIu64 "#%04x applied %" PRIu64, ok->op, brief(ok->checksum),
            ok->applied);
    } else if (m->type == VSR_COMMIT) {
        const struct vsr_commit *c = vsr_read_commit(m);
        add(line, " commit %" PRIu64 "#%04x op %" PRIu64 " sequence %" PRIu64 " agreed %" PRIu64,
            c->commit, brief(c->commit_checksum), c->op, c->sequence, c->agreed.op);
    } else {
        const struct vsr_commit_ok *ok = vsr_read_commit_ok(m);
        add(line, " op %" PRIu64 " applied %" PRIu64 " sequence %" PRIu64, ok->op, ok->applied,
            ok->sequence);
    }
}

static void add_state_transfer(struct line *line, const struct vsr_header *m)
{
    if (m->type == VSR_GET_STATE) {
        const struct vsr_get_state *g = vsr_read_get_state(m);
        add(line, " after op %" PRIu64 "#%04x commit %" PRIu64 " nonce %" PRIx64 "%s%s", g->from_op,
            brief(g->from_checksum), g->commit, g->nonce,
            (g->flags & VSR_GET_TRANSFER) != 0 ? " transfer" : "",
            (g->flags & VSR_GET_SELECTED) != 0 ? " selected" : "");
        return;
    }
    const struct vsr_new_state *s = vsr_read_new_state(m);
    add(line,
        " ops %" PRIu64 "..%" PRIu64 " of %" PRIu64 "#%04x commit %" PRIu64 " nonce %" PRIx64
        ", %" PRIu32 " entries",
        s->base + 1, s->end, s->op, brief(s->checksum), s->commit, s->nonce, m->count);
}

static void add_view_change(struct line *line, const struct vsr_header *m)
{
    if (m->type == VSR_START_VIEW_CHANGE) {
        add(line, " target %" PRIu64, vsr_read_start_view_change(m)->target);
    } else if (m->type == VSR_DO_VIEW_CHANGE) {
        const struct vsr_do_view_change *d = vsr_read_do_view_change(m);
        add(line, " log of view %" PRIu64 " ops %" PRIu64 "..%" PRIu64 "#%04x commit %" PRIu64,
            d->log_view, d->log_start + 1, d->op, brief(d->checksum), d->commit);
    } else {
        const struct vsr_start_view *s = vsr_read_start_view(m);
        add(line, " ops %" PRIu64 "..%" PRIu64 "#%04x commit %" PRIu64, s->log_start + 1, s->op,
            brief(s->checksum), s->commit);
    }
}

static void add_recovery(struct line *line, const struct vsr_header *m)
{
    if (m->type == VSR_RECOVERY) {
        const struct vsr_recovery *q = vsr_read_recovery(m);
        add(line, " nonce %" PRIx64 "%s%s", q->nonce, q->way == VSR_WAY_ROUND ? " round" : "",
            q->way == VSR_WAY_PASSED ? " passed on" : "");
        return;
    }
    const struct vsr_recovery_response *r = vsr_read_recovery_response(m);
    add(line, " op %" PRIu64 "#%04x commit %" PRIu64 " nonce %" PRIx64 " of %" PRIu64, r->op,
        brief(r->checksum), r->commit, r->nonce, r->asker);
}

static void add_chunk(struct line *line, const struct vsr_header *m)
{
    if (m->type == VSR_GET_CHUNK) {
        const struct vsr_get_chunk *g = vsr_read_get_chunk(m);
        add(line, " snapshot %" PRIu64 "#%04x from %" PRIu64 " nonce %" PRIx64, g->checkpoint_op,
            brief(g->checkpoint_id), g->offset, g->nonce);
        return;
    }
    const struct vsr_chunk *c = vsr_read_chunk(m);
    add(line,
        " snapshot %" PRIu64 "#%04x bytes %" PRIu64 "+%" PRIu32 " of %" PRIu64 " nonce %" PRIx64,
        c->checkpoint_op, brief(c->checkpoint_id), c->offset, m->count, c->snapshot_bytes,
        c->nonce);
}

/** Bytes of a message's fixed part; what is shorter has no fields that may be read. */
static size_t fixed_bytes(uint8_t type)
{
    static const uint8_t bytes[VSR_MESSAGE_COUNT] = {
#define X(name, text, body, size, ...) [VSR_##name] = size,
        VSR_MESSAGES(X)
#undef X
    };
    return type < VSR_MESSAGE_COUNT && bytes[type] != 0 ? bytes[type] : sizeof(struct vsr_header);
}

static void add_fields(struct line *line, const struct vsr_header *m)
{
    switch ((enum vsr_message_type)m->type) {
    case VSR_REQUEST:
        add(line, ", %" PRIu32 " requests", m->count);
        break;
    case VSR_REPLY:
        add(line, ", %" PRIu32 " replies", m->count);
        break;
    case VSR_PREPARE:
    case VSR_PREPARE_OK:
    case VSR_COMMIT:
    case VSR_COMMIT_OK:
        add_normal(line, m);
        break;
    case VSR_GET_STATE:
    case VSR_NEW_STATE:
        add_state_transfer(line, m);
        break;
    case VSR_START_VIEW_CHANGE:
    case VSR_DO_VIEW_CHANGE:
    case VSR_START_VIEW:
        add_view_change(line, m);
        break;
    case VSR_RECOVERY:
    case VSR_RECOVERY_RESPONSE:
        add_recovery(line, m);
        break;
    case VSR_GET_CHUNK:
    case VSR_CHUNK:
        add_chunk(line, m);
        break;
    case VSR_PONG: {
        const struct vsr_pong *p = vsr_read_pong(m);
        add(line, " op %" PRIu64 " commit %" PRIu64, p->op, p->commit);
        break;
    }
    case VSR_MESSAGE_NONE:
    case VSR_NOT_PRIMARY:
    case VSR_PING:
    case VSR_NEW_VIEW:
    case VSR_AWAY:
    case VSR_MESSAGE_COUNT:
        break;
    }
}

int vsr_trace_message(char *text, size_t bytes, const struct vsr_header *m)
{
    struct line line = {.text = text, .bytes = bytes};

    if (bytes > 0) text[0] = '\0';
    add(&line, "%s %" PRIu64 "->", vsr_message_name(m->type), m->from);
    if (m->type == VSR_REPLY || m->type == VSR_NOT_PRIMARY || m->to == VSR_TO_ALL)
        add(&line, "*");
    else
        add(&line, "%u", (unsigned)m->to);
    add(&line, " view %" PRIu64, m->view);
    if (m->bytes < fixed_bytes(m->type))
        add(&line, " (only %" PRIu32 " bytes)", m->bytes);
    else
        add_fields(&line, m);
    return (int)line.length;
}

enum vsr_trace_level vsr_trace_level_of(uint8_t type)
{
    static const enum vsr_trace_level levels[VSR_MESSAGE_COUNT] = {[VSR_MESSAGE_NONE] =
                                                                       VSR_TRACE_ALL,
#define X(name, text, body, size, shape, level) [VSR_##name] = VSR_TRACE_##level,
                                                                   VSR_MESSAGES(X)
#undef X
    };
    return type < VSR_MESSAGE_COUNT ? levels[type] : VSR_TRACE_ALL;
}

static enum vsr_trace_level read_level(void)
{
    static const char *const names[] = {"off", "info", "debug", "trace"};
    const char *value = getenv("VSR_LOG");

    if (value == NULL || value[0] == '\0') return VSR_TRACE_OFF;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(value, names[i]) == 0) return (enum vsr_trace_level)i;
    fprintf(stderr, "vsr: VSR_LOG is \"%s\"; accepted are off, info, debug and trace\n", value);
    return VSR_TRACE_OFF;
}

enum vsr_trace_level vsr_trace_wanted(void)
{
    /* Relaxed: the value carries nothing but itself, and two first readers find the same one. */
    static _Atomic int known = -1;
    int level = atomic_load_explicit(&known, memory_order_relaxed);

    if (level < 0) {
        level = (int)read_level();
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (enum vsr_trace_level)level;
}
