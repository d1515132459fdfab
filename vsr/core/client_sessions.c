/**
 * A client's sessions. See client_sessions.h.
 */
#include "client_sessions.h"

#include "client_displaced.h"
#include "client_send.h"

#include <errno.h>

/** The time from which the pause after an eviction is drawn doubles so often at most. */
enum { EVICTION_DOUBLINGS = 8 };

/** The payload while the session registers. */
static struct vsr_register *register_of(struct vsr_session *s)
{
    return (struct vsr_register *)(void *)(&s->request + 1);
}

/**
 * The next client id: the host's random one, counted on. The low half of the second word names the
 * session, so that the answer finds its way; the high half and the first word count the Registers.
 */
static void next_client_id(struct vsr_client *c, uint32_t index, uint64_t id[2])
{
    const uint64_t count = c->registers++;

    id[0] = c->options.id[0] + (count >> 32);
    id[1] = c->options.id[1] + (count << 32);
    id[1] ^= index;
}

/** The session that a client id of ours names. */
static uint32_t session_of_id(const struct vsr_client *c, const uint64_t id[2])
{
    return (uint32_t)(id[1] ^ c->options.id[1]);
}

/** The next Register, with an id that was never used: an old one that comes late opens nothing of
 * ours. */
static struct vsr_session *make_register(struct vsr_client *c, uint32_t index)
{
    struct vsr_session *s = session_at(c, index);

    VSR_ASSERT(index < c->options.sessions);
    vsr_displaced_remove(c, index);
    s->state = VSR_SESSION_REGISTERING;
    s->request = (struct vsr_request){
        .kind = VSR_KIND_REGISTER,
        .payload_bytes = sizeof(struct vsr_register),
    };
    struct vsr_register *payload = register_of(s);
    next_client_id(c, index, payload->client_id);
    payload->address = c->options.address;
    return s;
}

static void start_register(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out)
{
    VSR_ASSERT(!c->is_closing);
    vsr_client_send(c, make_register(c, index), out);
}

/**
 * Registers after an eviction: at once, and from the second one without a result between them on
 * after a pause that is drawn from twice as long a time at each. A table below the number of
 * sessions in use would be taken from each before its first request, for ever.
 *
 * Source: rule 5.3; binary exponential back-off, Metcalfe and Boggs 1976.
 */
static void register_after_eviction(struct vsr_client *c, uint32_t index,
                                    struct vsr_client_effects *out)
{
    struct vsr_session *s = make_register(c, index);

    VSR_ASSERT(!c->is_closing);
    VSR_ASSERT(s->evictions <= EVICTION_DOUBLINGS + 1);
    if (s->evictions++ == 0) {
        vsr_client_send(c, s, out);
        return;
    }
    if (s->evictions > EVICTION_DOUBLINGS + 1) s->evictions = EVICTION_DOUBLINGS + 1;
    s->attempts = 0;
    s->due_tick =
        c->tick + 1 +
        splitmix_next(&c->random) % ((uint64_t)c->options.retry_ticks << (s->evictions - 1));
}

void vsr_session_close(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out)
{
    VSR_ASSERT(c->is_closing);
    VSR_ASSERT(s->state == VSR_SESSION_READY || s->state == VSR_SESSION_WAITING);
    s->state = VSR_SESSION_CLOSING;
    s->request.kind = VSR_KIND_CLOSE;
    s->request.payload_bytes = 0;
    s->request.number++;
    vsr_client_send(c, s, out);
}

static void tell_closed(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out)
{
    VSR_ASSERT(session_at(c, index)->state == VSR_SESSION_CLOSED);
    c->report.closed++;
    client_effects_next(out, VSR_CLIENT_CLOSED, index);
}

void vsr_sessions_go_on(struct vsr_client *c, struct vsr_client_effects *out)
{
    VSR_ASSERT(c->opened <= c->options.sessions);
    VSR_ASSERT(c->left <= c->options.sessions);
    for (; !c->is_closing && c->opened < c->options.sessions && client_effects_have_room(out);
         c->opened++)
        if (session_at(c, c->opened)->state == VSR_SESSION_CLOSED)
            start_register(c, c->opened, out);
    for (; c->left < c->options.sessions && client_effects_have_room(out); c->left++) {
        struct vsr_session *s = session_at(c, c->left);
        if (s->state == VSR_SESSION_READY || (s->state == VSR_SESSION_WAITING && c->is_leaving))
            vsr_session_close(c, s, out);
        else if (s->state == VSR_SESSION_CLOSED && c->left >= c->opened)
            tell_closed(c, c->left, out); /* It was never told to open. */
    }
}

static bool is_waiting_for(const struct vsr_session *s, const struct vsr_reply *reply)
{
    return s->request.session == reply->session && s->request.slot == reply->slot &&
           s->request.number == reply->number && s->state >= VSR_SESSION_WAITING;
}

uint32_t vsr_session_find(struct vsr_client *c, const struct vsr_reply *reply)
{
    if (reply->slot >= c->options.sessions_max) return UINT32_MAX;
    const uint32_t holder = c->session_of[reply->slot];
    if (holder != 0 && is_waiting_for(session_at(c, holder - 1), reply)) return holder - 1;
    if (reply->status != VSR_REPLY_EVICTED) return UINT32_MAX;
    /* Another session of ours has taken the slot since; this one has to learn that it is gone. */
    const uint32_t index = vsr_displaced_find(c, reply);
    return index != UINT32_MAX && is_waiting_for(session_at(c, index), reply) ? index : UINT32_MAX;
}

/** The session whose Register is answered, or UINT32_MAX. */
static uint32_t find_registering(const struct vsr_client *c, const struct vsr_reply *reply)
{
    const struct vsr_registered *result = (const struct vsr_registered *)(const void *)(reply + 1);

    if (reply->payload_bytes != sizeof *result) return UINT32_MAX;
    const uint32_t index = session_of_id(c, result->client_id);
    if (index >= c->options.sessions) return UINT32_MAX;
    struct vsr_session *s = session_at(c, index);
    const uint64_t *id = register_of(s)->client_id;
    bool is_its_own = s->state == VSR_SESSION_REGISTERING && id[0] == result->client_id[0] &&
                      id[1] == result->client_id[1];
    return is_its_own ? index : UINT32_MAX;
}

void vsr_on_register_refused(struct vsr_client *c, const struct vsr_reply *reply,
                             struct vsr_client_effects *out)
{
    const uint32_t index = find_registering(c, reply);

    if (index == UINT32_MAX) {
        c->report.replies_ignored++;
        return;
    }
    VSR_ASSERT(session_at(c, index)->state == VSR_SESSION_REGISTERING);
    c->report.refused++;
    session_at(c, index)->state = VSR_SESSION_CLOSED;
    client_effects_next(out, VSR_CLIENT_REFUSED, index);
}

/** The slot that a session has been given, which another one of ours may have had. Replies may come
 * in another order than sessions took the slot: it is the newest one's. */
static void give_slot(struct vsr_client *c, uint32_t index)
{
    const struct vsr_request *own = &session_at(c, index)->request;
    const uint32_t holder = c->session_of[own->slot];

    VSR_ASSERT(holder <= c->options.sessions);
    if (holder != 0 && holder != index + 1) {
        const struct vsr_request *other = &session_at(c, holder - 1)->request;
        const bool is_still_its = other->session != 0 && other->slot == own->slot;
        if (is_still_its && other->session > own->session) {
            vsr_displaced_add(c, index);
            return;
        }
        if (is_still_its) vsr_displaced_add(c, holder - 1);
    }
    c->session_of[own->slot] = index + 1;
}

void vsr_on_registered(struct vsr_client *c, const struct vsr_reply *reply,
                       struct vsr_client_effects *out)
{
    const uint32_t index = find_registering(c, reply);

    if (index == UINT32_MAX || reply->slot >= c->options.sessions_max) {
        c->report.replies_ignored++;
        return;
    }
    struct vsr_session *s = session_at(c, index);
    VSR_ASSERT(s->state == VSR_SESSION_REGISTERING);
    VSR_ASSERT(s->request.kind == VSR_KIND_REGISTER);
    s->request.session = reply->session;
    s->request.slot = reply->slot;
    s->request.kind = VSR_KIND_OPERATION;
    s->state = VSR_SESSION_READY;
    give_slot(c, index);
    client_effects_next(out, VSR_CLIENT_OPENED, index);
    if (c->is_closing) vsr_session_close(c, s, out);
}

void vsr_session_closed(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out)
{
    struct vsr_session *s = session_at(c, index);

    VSR_ASSERT(s->state != VSR_SESSION_CLOSED); /* it is told once */
    VSR_ASSERT(s->request.slot < c->options.sessions_max);
    if (c->session_of[s->request.slot] == index + 1) c->session_of[s->request.slot] = 0;
    vsr_displaced_remove(c, index);
    s->state = VSR_SESSION_CLOSED;
    tell_closed(c, index, out);
}

/** A new session for the old one, unless they are to close. */
static void open_anew(struct vsr_client *c, uint32_t index, bool is_evicted,
                      struct vsr_client_effects *out)
{
    VSR_ASSERT(is_outstanding(session_at(c, index))); /* its answer is why it goes */
    if (c->is_closing)
        vsr_session_closed(c, index, out);
    else if (is_evicted)
        register_after_eviction(c, index, out);
    else
        start_register(c, index, out);
}

static void on_not_executed(struct vsr_client *c, uint32_t index, int status,
                            struct vsr_client_effects *out)
{
    struct vsr_client_effect *effect = client_effects_next(out, VSR_CLIENT_NOT_EXECUTED, index);

    VSR_ASSERT(status < 0);
    effect->number = session_at(c, index)->request.number;
    effect->status = status;
    c->report.not_executed++;
    open_anew(c, index, status == -ECONNRESET, out);
}

/** The session is gone. If it went before its request was executed, that is known; or else what
 * became of the request is not. */
static void on_evicted(struct vsr_client *c, uint32_t index, const struct vsr_reply *reply,
                       struct vsr_client_effects *out)
{
    const struct vsr_session *s = session_at(c, index);
    const struct vsr_evicted *evicted = (const struct vsr_evicted *)(const void *)(reply + 1);

    VSR_ASSERT(is_outstanding(s)); /* or it was not found */
    if (s->state == VSR_SESSION_CLOSING) {
        vsr_session_closed(c, index, out);
        return;
    }
    c->report.evicted++;
    if (reply->payload_bytes == sizeof *evicted && evicted->executed < s->request.number) {
        on_not_executed(c, index, -ECONNRESET, out);
        return;
    }
    client_effects_next(out, VSR_CLIENT_EVICTED, index)->number = s->request.number;
    open_anew(c, index, true, out);
}

/** Its session was opened and evicted before it knew of it. */
static void on_register_evicted(struct vsr_client *c, const struct vsr_reply *reply,
                                struct vsr_client_effects *out)
{
    const uint32_t index = find_registering(c, reply);

    if (index == UINT32_MAX) {
        c->report.replies_ignored++;
        return;
    }
    c->report.evicted++;
    open_anew(c, index, true, out);
}

void vsr_on_refusal(struct vsr_client *c, const struct vsr_header *m, const struct vsr_reply *reply,
                    struct vsr_client_effects *out)
{
    if (reply->number == 0 && reply->status == VSR_REPLY_EVICTED) {
        on_register_evicted(c, reply, out);
        return;
    }
    const uint32_t index = vsr_session_find(c, reply);
    /* C8: a primary of an older view may not know our session yet. */
    bool is_old_news = reply->status == VSR_REPLY_EVICTED && m->view < c->view_hint;

    if (index == UINT32_MAX || is_old_news || reply->status > VSR_REPLY_TOO_LARGE) {
        c->report.replies_ignored++;
    } else if (reply->status == VSR_REPLY_EVICTED) {
        on_evicted(c, index, reply, out);
    } else if (reply->status == VSR_REPLY_TOO_LARGE) {
        /* Its number is spent: a late copy of this answer must not be taken for another's. */
        on_not_executed(c, index, -EMSGSIZE, out);
    } else {
        struct vsr_session *s = session_at(c, index);
        c->report.busy++;
        s->attempts++;
        client_set_due(c, s, c->options.busy_ticks);
    }
}
