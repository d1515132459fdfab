/**
 * The client's side. See vsr/client.h; rules 5.1 to 5.4 of DESIGN.md.
 */
#include <vsr/client.h>

#include "assert.h"
#include "members.h"
#include "message.h"
#include "splitmix.h"

#include <errno.h>
#include <string.h>

/** One look at every session per so many ticks; a retry is late by as much. */
enum { SWEEP_TICKS = 8 };
enum { EFFECTS_SPARE = 8 };

/** For payloads of up to 24 bytes one cache line. */
struct session {
    uint64_t due_tick;          /* when the outstanding request is sent again */
    uint32_t attempts;          /* of the outstanding request */
    uint8_t state;              /* enum vsr_session_state */
    struct vsr_request request; /* the last one as it is sent; its payload follows, padded */
};

_Static_assert(sizeof(struct session) + sizeof(struct vsr_register) == 64, "one cache line");

/** A Request message being filled. */
struct open_request {
    struct vsr_buffer buffer; /* header NULL: none */
    uint32_t bytes;
    uint32_t count;
    uint32_t to; /* mask of replicas */
};

struct vsr_client {
    struct vsr_client_options options;
    struct vsr_members members; /* whom it asks; it is none of them */
    uint8_t *sessions;          /* struct session and payload, `stride` bytes each */
    uint32_t *session_of;       /* slot -> session index + 1 */
    uint32_t stride;
    struct open_request first; /* to the primary */
    struct open_request again; /* retries, to everybody */
    vsr_view view_hint;
    uint64_t tick;
    uint32_t sweep;  /* the next session to look at */
    uint32_t moved;  /* sessions before this one know of the new primary */
    uint32_t opened; /* sessions before this one have been told to open */
    uint32_t left;   /* or to close */
    bool is_closing;
    bool is_leaving;
    uint64_t registers; /* sent under an id of their own */
    uint64_t random;    /* of the jitter */
    struct vsr_client_report report;
};

static struct vsr_client_effect *next_effect(struct vsr_client_effects *out,
                                             enum vsr_client_effect_kind kind, uint32_t session)
{
    VSR_ASSERT(out->count < out->capacity);
    struct vsr_client_effect *effect = &out->list[out->count++];
    effect->kind = kind;
    effect->session = session;
    return effect;
}

static uint32_t all_mask(const struct vsr_client *c)
{
    return vsr_members_all(&c->members);
}

static uint32_t hint_mask(const struct vsr_client *c)
{
    return vsr_mask_of(vsr_members_primary(&c->members, c->view_hint));
}

static void close_request(struct open_request *open, struct vsr_client_effects *out)
{
    if (open->buffer.header == NULL) return;
    open->buffer.header->bytes = open->bytes;
    open->buffer.header->count = open->count;
    struct vsr_client_effect *effect = next_effect(out, VSR_CLIENT_SEND, 0);
    effect->buffer = open->buffer;
    effect->to = open->to;
    open->buffer = (struct vsr_buffer){0};
}

static bool open_request(struct vsr_client *c, struct open_request *open, uint32_t bytes)
{
    const struct vsr_client_options *o = &c->options;
    uint32_t header = sizeof(struct vsr_header);
    uint32_t capacity = o->requests_per_message == 1 ? header + bytes : o->request_bytes_max;

    if (!o->buffers.take(o->buffers.context, capacity, &open->buffer)) return false;
    *open->buffer.header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = VSR_REQUEST,
        .to = VSR_TO_ALL,
        .cluster = o->cluster,
        .view = c->view_hint,
        .from = o->address,
    };
    open->bytes = header;
    open->count = 0;
    return true;
}

static struct session *session_at(const struct vsr_client *c, uint32_t index)
{
    return (struct session *)(void *)(c->sessions + (size_t)index * c->stride);
}

/** Makes room for a request in a message. Out of line: most requests find room. */
__attribute__((noinline)) static bool make_room(struct vsr_client *c, struct open_request *open,
                                                uint32_t bytes, struct vsr_client_effects *out)
{
    close_request(open, out);
    return open_request(c, open, bytes);
}

/** Appends the session's outstanding request to an open message; without a buffer a tick will. */
static inline void append(struct vsr_client *c, struct open_request *open, const struct session *s,
                          struct vsr_client_effects *out)
{
    const struct vsr_request *from = &s->request;
    const uint32_t bytes = (uint32_t)sizeof *from + VSR_PADDED(from->payload_bytes);
    bool has_room =
        open->buffer.header != NULL && open->bytes + bytes <= c->options.request_bytes_max;

    if (!has_room && !make_room(c, open, bytes, out)) return;
    struct vsr_request *to =
        (struct vsr_request *)(void *)((uint8_t *)open->buffer.header + open->bytes);
    __builtin_prefetch((uint8_t *)to + WRITE_AHEAD, 1);
    /* Field by field: some were stored a moment ago, see copy_words. */
    to->session = from->session;
    to->number = load_word(&from->number);
    to->slot = from->slot;
    to->payload_bytes = from->payload_bytes;
    to->kind = from->kind;
    to->reserved = 0;
    copy_words(to + 1, from + 1, from->payload_bytes);
    open->bytes += bytes;
    if (++open->count == c->options.requests_per_message) close_request(open, out);
}

/** When to ask again: twice as late each time, up to a bound, and not all at once. */
static void set_due(struct vsr_client *c, struct session *s, uint64_t ticks)
{
    uint64_t jitter = s->attempts == 0 ? 0 : splitmix_next(&c->random) % (ticks / 4 + 1);
    s->due_tick = c->tick + ticks + jitter;
}

/** Inlined where every operation goes through; elsewhere send_seldom. */
static inline __attribute__((always_inline)) void
send_first(struct vsr_client *c, struct session *s, struct vsr_client_effects *out)
{
    s->attempts = 0;
    set_due(c, s, c->options.retry_ticks);
    append(c, &c->first, s, out);
}

static __attribute__((noinline)) void send_seldom(struct vsr_client *c, struct session *s,
                                                  struct vsr_client_effects *out)
{
    send_first(c, s, out);
}

/** The payload while the session registers. */
static struct vsr_register *register_of(struct session *s)
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

/** Registers with an id that was never used: an old Register that comes late opens nothing of ours.
 */
static void start_register(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out)
{
    struct session *s = session_at(c, index);

    s->state = VSR_SESSION_REGISTERING;
    s->request = (struct vsr_request){
        .kind = VSR_KIND_REGISTER,
        .payload_bytes = sizeof(struct vsr_register),
    };
    struct vsr_register *payload = register_of(s);
    next_client_id(c, index, payload->client_id);
    payload->address = c->options.address;
    send_seldom(c, s, out);
}

/** Closes a session; its Close has a number of its own, so that no late result is its answer. */
static void start_close(struct vsr_client *c, struct session *s, struct vsr_client_effects *out)
{
    s->state = VSR_SESSION_CLOSING;
    s->request.kind = VSR_KIND_CLOSE;
    s->request.payload_bytes = 0;
    s->request.number++;
    send_seldom(c, s, out);
}

static bool has_room(const struct vsr_client_effects *out)
{
    return out->count + EFFECTS_SPARE <= out->capacity;
}

/** Opens or closes sessions that have been told to, while there is room. */
static void go_on(struct vsr_client *c, struct vsr_client_effects *out)
{
    for (; c->opened < c->options.sessions && has_room(out); c->opened++)
        if (session_at(c, c->opened)->state == VSR_SESSION_CLOSED)
            start_register(c, c->opened, out);
    for (; c->left < c->options.sessions && has_room(out); c->left++) {
        struct session *s = session_at(c, c->left);
        if (s->state == VSR_SESSION_READY || (s->state == VSR_SESSION_WAITING && c->is_leaving))
            start_close(c, s, out);
    }
}

void vsr_client_open(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->is_closing = false;
    c->left = c->options.sessions;
    c->opened = 0;
    go_on(c, out);
}

void vsr_client_close(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->is_closing = true;
    c->opened = c->options.sessions;
    c->left = 0;
    go_on(c, out);
}

void vsr_client_leave(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->is_leaving = true;
    vsr_client_close(c, out);
}

int vsr_client_submit(struct vsr_client *c, uint32_t session, const void *payload,
                      uint32_t payload_bytes, struct vsr_client_effects *out)
{
    if (session >= c->options.sessions) return -EINVAL;
    if (payload_bytes > c->options.op_bytes_max) return -EMSGSIZE;
    struct session *s = session_at(c, session);
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
    send_first(c, s, out);
    return 0;
}

static bool is_waiting_for(const struct session *s, const struct vsr_reply *reply)
{
    return s->request.session == reply->session && s->request.slot == reply->slot &&
           s->request.number == reply->number && s->state >= VSR_SESSION_WAITING;
}

/** The session that a reply is for: ours, waiting for just this. Its index, or UINT32_MAX. */
static uint32_t find_session(const struct vsr_client *c, const struct vsr_reply *reply)
{
    if (reply->slot >= c->options.sessions_max || c->session_of[reply->slot] == 0)
        return UINT32_MAX;
    const uint32_t index = c->session_of[reply->slot] - 1;
    if (is_waiting_for(session_at(c, index), reply)) return index;
    /* Another session of ours has taken the slot since; this one has to learn that it is gone. */
    for (uint32_t i = 0; reply->status == VSR_REPLY_EVICTED && i < c->options.sessions; i++)
        if (is_waiting_for(session_at(c, i), reply)) return i;
    return UINT32_MAX;
}

/** The session whose Register is answered, or UINT32_MAX. */
static uint32_t find_registering(const struct vsr_client *c, const struct vsr_reply *reply)
{
    const struct vsr_registered *result = (const struct vsr_registered *)(const void *)(reply + 1);

    if (reply->payload_bytes != sizeof *result) return UINT32_MAX;
    const uint32_t index = session_of_id(c, result->client_id);
    if (index >= c->options.sessions) return UINT32_MAX;
    struct session *s = session_at(c, index);
    const uint64_t *id = register_of(s)->client_id;
    bool is_its_own = s->state == VSR_SESSION_REGISTERING && id[0] == result->client_id[0] &&
                      id[1] == result->client_id[1];
    return is_its_own ? index : UINT32_MAX;
}

/** Its id is another client's: whatever it opened would be the other's too. */
static void on_register_refused(struct vsr_client *c, const struct vsr_reply *reply,
                                struct vsr_client_effects *out)
{
    const uint32_t index = find_registering(c, reply);

    if (index == UINT32_MAX) {
        c->report.replies_ignored++;
        return;
    }
    c->report.refused++;
    session_at(c, index)->state = VSR_SESSION_CLOSED;
    next_effect(out, VSR_CLIENT_REFUSED, index);
}

static void on_registered(struct vsr_client *c, const struct vsr_reply *reply,
                          struct vsr_client_effects *out)
{
    const uint32_t index = find_registering(c, reply);

    if (index == UINT32_MAX || reply->slot >= c->options.sessions_max) {
        c->report.replies_ignored++;
        return;
    }
    struct session *s = session_at(c, index);
    s->request.session = reply->session;
    s->request.slot = reply->slot;
    s->request.kind = VSR_KIND_OPERATION;
    s->state = VSR_SESSION_READY;
    /* Replies may come in another order than sessions took the slot: it is the newest one's. */
    const uint32_t holder = c->session_of[reply->slot];
    const struct vsr_request *held =
        holder != 0 ? &session_at(c, holder - 1)->request : &s->request;
    if (held->slot != reply->slot || held->session <= reply->session)
        c->session_of[reply->slot] = index + 1;
    next_effect(out, VSR_CLIENT_OPENED, index);
    if (c->is_closing) start_close(c, s, out);
}

static void on_closed(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out)
{
    struct session *s = session_at(c, index);

    if (c->session_of[s->request.slot] == index + 1) c->session_of[s->request.slot] = 0;
    s->state = VSR_SESSION_CLOSED;
    c->report.closed++;
    next_effect(out, VSR_CLIENT_CLOSED, index);
}

/** A new session for the old one, unless they are to close. */
static void open_anew(struct vsr_client *c, uint32_t index, struct vsr_client_effects *out)
{
    if (c->is_closing)
        on_closed(c, index, out);
    else
        start_register(c, index, out);
}

static void on_not_executed(struct vsr_client *c, uint32_t index, int status,
                            struct vsr_client_effects *out)
{
    struct vsr_client_effect *effect = next_effect(out, VSR_CLIENT_NOT_EXECUTED, index);

    effect->number = session_at(c, index)->request.number;
    effect->status = status;
    c->report.not_executed++;
    open_anew(c, index, out);
}

/** The session is gone. If it went before its request was executed, that is known; or else what
 * became of the request is not. */
static void on_evicted(struct vsr_client *c, uint32_t index, const struct vsr_reply *reply,
                       struct vsr_client_effects *out)
{
    const struct session *s = session_at(c, index);
    const struct vsr_evicted *evicted = (const struct vsr_evicted *)(const void *)(reply + 1);

    if (s->state == VSR_SESSION_CLOSING) {
        on_closed(c, index, out);
        return;
    }
    c->report.evicted++;
    if (reply->payload_bytes == sizeof *evicted && evicted->executed < s->request.number) {
        on_not_executed(c, index, -ECONNRESET, out);
        return;
    }
    next_effect(out, VSR_CLIENT_EVICTED, index)->number = s->request.number;
    open_anew(c, index, out);
}

/** What is neither a result nor the answer to a Register. */
static void on_refusal(struct vsr_client *c, const struct vsr_header *m,
                       const struct vsr_reply *reply, struct vsr_client_effects *out)
{
    const uint32_t index = find_session(c, reply);
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
        struct session *s = session_at(c, index);
        c->report.busy++;
        s->attempts++;
        set_due(c, s, c->options.busy_ticks);
    }
}

static inline void on_result(struct vsr_client *c, const struct vsr_reply *reply,
                             struct vsr_client_effects *out)
{
    const uint32_t index = find_session(c, reply);

    if (index == UINT32_MAX) {
        c->report.replies_ignored++;
        return;
    }
    struct session *s = session_at(c, index);
    if (s->state == VSR_SESSION_CLOSING) {
        on_closed(c, index, out);
        return;
    }
    struct vsr_client_effect *effect = next_effect(out, VSR_CLIENT_RESULT, index);
    effect->result = reply + 1;
    effect->result_bytes = reply->payload_bytes;
    effect->number = reply->number;
    s->state = VSR_SESSION_READY;
    c->report.answered++;
    if (c->is_closing) start_close(c, s, out);
}

static bool is_for_us(const struct vsr_client *c, const struct vsr_header *m)
{
    return m->magic == VSR_MAGIC && m->version == VSR_VERSION && m->cluster == c->options.cluster &&
           m->bytes >= sizeof *m && m->bytes <= VSR_MESSAGE_BYTES_MAX &&
           vsr_members_has(&c->members, m->from) &&
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
        if (bytes > end - offset || !has_room(out)) {
            c->report.replies_ignored++;
            return;
        }
        if (reply->status == VSR_REPLY_REFUSED)
            on_register_refused(c, reply, out);
        else if (reply->status != VSR_REPLY_OK)
            on_refusal(c, m, reply, out);
        else if (reply->number == 0)
            on_registered(c, reply, out);
        else
            on_result(c, reply, out);
        offset = step_over(offset, bytes, &size);
    }
}

static bool is_outstanding(const struct session *s)
{
    return s->state >= VSR_SESSION_WAITING || s->state == VSR_SESSION_REGISTERING;
}

/** What the old primary had and nobody answered goes to the new one, without waiting for a timer.
 */
static void move_to_primary(struct vsr_client *c, struct vsr_client_effects *out)
{
    for (; c->moved < c->options.sessions; c->moved++) {
        if (!has_room(out)) return;
        struct session *s = session_at(c, c->moved);
        if (is_outstanding(s)) send_seldom(c, s, out);
    }
}

void vsr_client_turn_end(struct vsr_client *c, struct vsr_client_effects *out)
{
    c->first.to = hint_mask(c);
    c->again.to = all_mask(c);
    if (c->moved < c->options.sessions) move_to_primary(c, out);
    if (c->opened < c->options.sessions || c->left < c->options.sessions) go_on(c, out);
    close_request(&c->first, out);
    close_request(&c->again, out);
}

static void retry(struct vsr_client *c, struct session *s, struct vsr_client_effects *out)
{
    uint32_t doublings =
        s->attempts < c->options.retry_doublings ? s->attempts : c->options.retry_doublings;
    s->attempts++;
    c->report.retries++;
    set_due(c, s, (uint64_t)c->options.retry_ticks << doublings);
    append(c, &c->again, s, out);
}

void vsr_client_tick(struct vsr_client *c, struct vsr_client_effects *out)
{
    const uint32_t sessions = c->options.sessions;
    const uint32_t look_at = (sessions + SWEEP_TICKS - 1) / SWEEP_TICKS;

    c->tick++;
    c->again.to = all_mask(c);
    if (c->opened < sessions || c->left < sessions) go_on(c, out);
    for (uint32_t i = 0; i < look_at; i++) {
        struct session *s = session_at(c, c->sweep);
        if (is_outstanding(s) && s->due_tick <= c->tick) {
            if (!has_room(out)) return; /* the rest at the next tick */
            retry(c, s, out);
        }
        c->sweep = c->sweep + 1 < sessions ? c->sweep + 1 : 0;
    }
}

/* Memory. */

struct layout {
    size_t sessions;
    size_t session_of;
    size_t end;
};

static uint32_t session_stride(const struct vsr_client_options *o)
{
    const uint32_t payload = VSR_PADDED(o->op_bytes_max);
    const uint32_t least = sizeof(struct vsr_register);
    const uint32_t bytes = (uint32_t)sizeof(struct session) + (payload < least ? least : payload);
    return (bytes + 63) & ~63u;
}

static size_t take_bytes(size_t *at, size_t bytes)
{
    size_t start = *at;
    *at = (start + bytes + 63) & ~(size_t)63;
    return start;
}

static struct layout lay_out(const struct vsr_client_options *o)
{
    struct layout l;
    size_t at = 0;

    take_bytes(&at, sizeof(struct vsr_client));
    l.sessions = take_bytes(&at, (size_t)o->sessions * session_stride(o));
    l.session_of = take_bytes(&at, o->sessions_max * sizeof(uint32_t));
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
    return 2 * sessions + 2 * EFFECTS_SPARE;
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
    c->stride = session_stride(options);
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
        const struct session *s = session_at(c, i);
        report->ready += s->state == VSR_SESSION_READY;
        report->waiting += s->state == VSR_SESSION_WAITING;
        report->registering += s->state == VSR_SESSION_REGISTERING;
        if (is_outstanding(s) && s->attempts > report->oldest_attempts)
            report->oldest_attempts = s->attempts;
    }
}
