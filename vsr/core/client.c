/**
 * The client's side. See vsr/client.h; rules 5.1 to 5.6 of DESIGN.md.
 */
#include <vsr/client.h>

#include "client_displaced.h"
#include "client_send.h"
#include "client_sessions.h"
#include "client_state.h"
#include "layout.h"
#include "message.h"

#include <errno.h>
#include <string.h>

/** One look at every session per so many ticks; a retry is late by as much. */
enum { SWEEP_TICKS = 8 };

static uint32_t all_mask(const struct vsr_client *c)
{
    return vsr_members_all(&c->members);
}

static uint32_t hint_mask(const struct vsr_client *c)
{
    return vsr_mask_of(vsr_members_primary(&c->members, c->view_hint));
}

void vsr_client_open(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->is_closing = false;
    c->left = c->options.sessions;
    c->opened = 0;
    vsr_sessions_go_on(c, out);
}

static void begin_to_close(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->is_closing = true;
    c->left = 0;
    vsr_sessions_go_on(c, out);
}

void vsr_client_close(struct vsr_client *c, struct vsr_client_effects *out)
{
    if (!c->is_closing) begin_to_close(c, out);
}

void vsr_client_leave(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->is_leaving = true;
    begin_to_close(c, out);
}

int vsr_client_submit(struct vsr_client *c, uint32_t session, const void *payload,
                      uint32_t payload_bytes, struct vsr_client_effects *out)
{
    if (session >= c->options.sessions) return -EINVAL;
    if (payload_bytes > c->options.op_bytes_max) return -EMSGSIZE;
    struct vsr_session *s = session_at(c, session);
    if (s->state != VSR_SESSION_READY) return -EBUSY;

    uint8_t *kept = (uint8_t *)(&s->request + 1);
    copy_words(kept, payload, payload_bytes & ~7u);
    if (payload_bytes % 8 != 0) {
        const uint32_t whole = payload_bytes & ~7u;
        memset(kept + whole, 0, 8);
        memcpy(kept + whole, (const uint8_t *)payload + whole, payload_bytes % 8);
    }
    s->request.payload_bytes = (uint16_t)payload_bytes;
    s->request.number++;
    s->state = VSR_SESSION_WAITING;
    c->report.submitted++;
    client_send_first(c, s, out);
    return 0;
}

static inline void on_result(struct vsr_client *c, const struct vsr_reply *reply,
                             struct vsr_client_effects *out)
{
    const uint32_t index = vsr_session_find(c, reply);

    if (index == UINT32_MAX) {
        c->report.replies_ignored++;
        return;
    }
    struct vsr_session *s = session_at(c, index);
    if (s->state == VSR_SESSION_CLOSING) {
        vsr_session_closed(c, index, out);
        return;
    }
    struct vsr_client_effect *effect = client_effects_next(out, VSR_CLIENT_RESULT, index);
    effect->result = reply + 1;
    effect->result_bytes = reply->payload_bytes;
    effect->number = reply->number;
    s->state = VSR_SESSION_READY;
    s->evictions = 0;
    c->report.answered++;
    if (c->is_closing) vsr_session_close(c, s, out);
}

static bool is_for_us(const struct vsr_client *c, const struct vsr_header *m)
{
    return m->magic == VSR_MAGIC && m->version == VSR_VERSION && m->cluster == c->options.cluster &&
           m->bytes >= sizeof *m && m->bytes <= VSR_MESSAGE_BYTES_MAX &&
           vsr_members_has(&c->members, m->from) && m->view <= VSR_VIEW_MAX &&
           (m->type == VSR_REPLY || m->type == VSR_NOT_PRIMARY || m->type == VSR_NEW_VIEW);
}

void vsr_client_receive(struct vsr_client *c, const struct vsr_header *m,
                        struct vsr_client_effects *out)
{
    uint32_t offset = sizeof *m;

    if (!is_for_us(c, m)) {
        c->report.replies_ignored++;
        return;
    }
    if (m->view > c->view_hint) {
        c->view_hint = m->view;
        c->first.to = hint_mask(c);
        c->moved = 0;
    }
    if (m->type != VSR_REPLY) return;

    const uint32_t end = m->bytes;
    uint32_t size = 0;
    for (uint32_t left = m->count; left > 0 && end - offset >= sizeof(struct vsr_reply); left--) {
        const struct vsr_reply *reply =
            (const struct vsr_reply *)(const void *)((const uint8_t *)m + offset);
        uint32_t bytes = (uint32_t)sizeof *reply + VSR_PADDED(reply->payload_bytes);
        __builtin_prefetch((const uint8_t *)reply + READ_AHEAD);
        if (bytes > end - offset || !client_effects_have_room(out)) {
            c->report.replies_ignored++;
            return;
        }
        if (reply->status == VSR_REPLY_REFUSED)
            vsr_on_register_refused(c, reply, out);
        else if (reply->status != VSR_REPLY_OK)
            vsr_on_refusal(c, m, reply, out);
        else if (reply->number == 0)
            vsr_on_registered(c, reply, out);
        else
            on_result(c, reply, out);
        offset = step_over(offset, bytes, &size);
    }
}

/** What the old primary had and nobody answered goes to the new one, without waiting for a timer.
 */
static void move_to_primary(struct vsr_client *c, struct vsr_client_effects *out)
{
    for (; c->moved < c->options.sessions; c->moved++) {
        if (!client_effects_have_room(out)) return;
        struct vsr_session *s = session_at(c, c->moved);
        if (is_outstanding(s)) vsr_client_send(c, s, out);
    }
}

void vsr_client_turn_end(struct vsr_client *c, struct vsr_client_effects *out)
{
    VSR_ASSERT(c->moved <= c->options.sessions);
    VSR_ASSERT(c->opened <= c->options.sessions);
    VSR_ASSERT(c->left <= c->options.sessions);
    c->first.to = hint_mask(c);
    c->again.to = all_mask(c);
    if (c->moved < c->options.sessions) move_to_primary(c, out);
    if (c->opened < c->options.sessions || c->left < c->options.sessions)
        vsr_sessions_go_on(c, out);
    vsr_client_close_request(&c->first, out);
    vsr_client_close_request(&c->again, out);
}

void vsr_client_tick(struct vsr_client *c, struct vsr_client_effects *out)
{
    const uint32_t sessions = c->options.sessions;
    const uint32_t look_at = (sessions + SWEEP_TICKS - 1) / SWEEP_TICKS;

    VSR_ASSERT(c->sweep < sessions);
    c->tick++;
    c->again.to = all_mask(c);
    if (c->opened < sessions || c->left < sessions) vsr_sessions_go_on(c, out);
    for (uint32_t i = 0; i < look_at; i++) {
        struct vsr_session *s = session_at(c, c->sweep);
        if (is_outstanding(s) && s->due_tick <= c->tick) {
            if (!client_effects_have_room(out)) return; /* the rest at the next tick */
            vsr_client_retry(c, s, out);
        }
        c->sweep = c->sweep + 1 < sessions ? c->sweep + 1 : 0;
    }
}

/* Memory. */

struct layout {
    size_t sessions;
    size_t session_of;
    size_t displaced_lists;
    size_t displaced_next;
    size_t end;
};

static uint32_t session_stride(const struct vsr_client_options *o)
{
    const uint32_t payload = VSR_PADDED(o->op_bytes_max);
    const uint32_t least = sizeof(struct vsr_register);
    const uint32_t bytes =
        (uint32_t)sizeof(struct vsr_session) + (payload < least ? least : payload);
    return (bytes + 63) & ~63u;
}

static struct layout lay_out(const struct vsr_client_options *o)
{
    struct layout l;
    size_t at = 0;

    layout_reserve(&at, sizeof(struct vsr_client));
    l.sessions = layout_reserve(&at, (size_t)o->sessions * session_stride(o));
    l.session_of = layout_reserve(&at, o->sessions_max * sizeof(uint32_t));
    l.displaced_lists = layout_reserve(&at, vsr_displaced_lists(o->sessions) * sizeof(uint32_t));
    l.displaced_next = layout_reserve(&at, o->sessions * sizeof(uint32_t));
    l.end = at;
    return l;
}

size_t vsr_client_bytes(const struct vsr_client_options *options)
{
    return lay_out(options).end;
}

/** The most replies that a message holds, each with an effect and, after an eviction, a Register.
 */
uint32_t vsr_client_effects_max(const struct vsr_client_options *options)
{
    uint32_t replies = VSR_MESSAGE_BYTES_MAX / (uint32_t)sizeof(struct vsr_reply);
    uint32_t sessions = options->sessions < replies ? options->sessions : replies;
    return 2 * sessions + 2 * CLIENT_EFFECTS_SPARE;
}

struct vsr_client *vsr_client_init(void *memory, const struct vsr_client_options *options)
{
    const struct layout l = lay_out(options);
    uint8_t *base = memory;
    struct vsr_client *c = memory;

    VSR_ASSERT((uintptr_t)memory % 64 == 0);
    VSR_ASSERT(vsr_client_options_check(options, NULL) == 0);
    c->options = *options;
    c->members = vsr_members_of(options->replica_count, VSR_NO_MEMBER, 0, 0, 0);
    c->sessions = base + l.sessions;
    c->session_of = (uint32_t *)(void *)(base + l.session_of);
    c->displaced.lists = (uint32_t *)(void *)(base + l.displaced_lists);
    c->displaced.next = (uint32_t *)(void *)(base + l.displaced_next);
    c->displaced.mask = vsr_displaced_lists(options->sessions) - 1;
    c->stride = session_stride(options);
    VSR_ASSERT(c->stride % 64 == 0);
    VSR_ASSERT(c->stride >= sizeof(struct vsr_session) + sizeof(struct vsr_register));
    c->random = options->id[0] ^ options->id[1];
    c->first.to = hint_mask(c);
    c->again.to = all_mask(c);
    c->moved = c->opened = c->left = options->sessions;
    return c;
}

void vsr_client_deinit(struct vsr_client *c)
{
    const struct vsr_buffers *buffers = &c->options.buffers;

    if (c->first.buffer.header != NULL) buffers->unref(buffers->context, c->first.buffer.handle);
    if (c->again.buffer.header != NULL) buffers->unref(buffers->context, c->again.buffer.handle);
    c->first.buffer = c->again.buffer = (struct vsr_buffer){0};
}

enum vsr_session_state vsr_client_session_state(const struct vsr_client *c, uint32_t session)
{
    VSR_ASSERT(session < c->options.sessions);
    return (enum vsr_session_state)session_at(c, session)->state;
}

void vsr_client_report(const struct vsr_client *c, struct vsr_client_report *report)
{
    *report = c->report;
    report->view_hint = c->view_hint;
    for (uint32_t i = 0; i < c->options.sessions; i++) {
        const struct vsr_session *s = session_at(c, i);
        report->ready += s->state == VSR_SESSION_READY;
        report->waiting += s->state == VSR_SESSION_WAITING;
        report->registering += s->state == VSR_SESSION_REGISTERING;
        if (is_outstanding(s) && s->attempts > report->oldest_attempts)
            report->oldest_attempts = s->attempts;
    }
}
