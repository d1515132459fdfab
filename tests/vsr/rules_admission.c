/**
 * What is looked at before a handler: status, view and sender of every message type, the whole
 * table. DESIGN.md, "Rules", G1 to G5.
 */
#include "leak_check.h"
#include "messages.h"
#include "view.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(admission);

enum sender { CLIENT_ONLY, PRIMARY, BACKUP_TO_PRIMARY, ANYONE };
/** Of the message's view against ours: what becomes of an older one and of a newer one. */
enum views { DROPPED, FOLLOWED, HANDLED };

enum { STARTING = 1, NORMAL = 2, VIEW_CHANGE = 4, RECOVERING = 8, HALTED = 16 };

static const struct row {
    enum vsr_message_type type;
    uint32_t bytes;
    enum sender sender;
    enum views views;
    uint32_t statuses;
} rows[] = {
    {VSR_REQUEST, 128, CLIENT_ONLY, HANDLED, NORMAL},
    {VSR_PREPARE, 152, PRIMARY, FOLLOWED, NORMAL | VIEW_CHANGE},
    {VSR_PREPARE_OK, 104, BACKUP_TO_PRIMARY, DROPPED, NORMAL},
    {VSR_COMMIT, 128, PRIMARY, FOLLOWED, NORMAL | VIEW_CHANGE},
    {VSR_COMMIT_OK, 112, BACKUP_TO_PRIMARY, DROPPED, NORMAL},
    {VSR_GET_STATE, 104, ANYONE, DROPPED, NORMAL | VIEW_CHANGE},
    {VSR_NEW_STATE, 128, ANYONE, DROPPED, NORMAL | VIEW_CHANGE | RECOVERING},
    {VSR_START_VIEW_CHANGE, 72, ANYONE, HANDLED, NORMAL | VIEW_CHANGE},
    {VSR_DO_VIEW_CHANGE, 112, ANYONE, HANDLED, NORMAL | VIEW_CHANGE},
    {VSR_START_VIEW, 104, PRIMARY, HANDLED, NORMAL | VIEW_CHANGE},
    {VSR_RECOVERY, 80, ANYONE, HANDLED, NORMAL | VIEW_CHANGE},
    {VSR_RECOVERY_RESPONSE, 112, ANYONE, HANDLED, NORMAL | RECOVERING},
    {VSR_GET_CHUNK, 96, ANYONE, DROPPED, NORMAL},
    {VSR_CHUNK, 120, ANYONE, DROPPED, NORMAL | VIEW_CHANGE | RECOVERING},
    {VSR_PING, 64, ANYONE, HANDLED, NORMAL | VIEW_CHANGE},
    {VSR_PONG, 88, ANYONE, HANDLED, NORMAL | VIEW_CHANGE},
    {VSR_AWAY, 64, ANYONE, HANDLED, STARTING | NORMAL | VIEW_CHANGE | RECOVERING},
};

enum { ROWS = sizeof rows / sizeof rows[0], VIEW = 9 };

/** Replica `self` of 5 in view 9, whose primary is 4, in this status. */
static struct fixture *in_status(uint32_t self, uint32_t status)
{
    struct vsr_replica_options o = fixture_options(5, self);
    const struct chain none = {.replica_count = 5};
    struct fixture *f;

    if (status == STARTING) {
        f = fixture_create(&o);
        f->holds_persist = true;
        fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_START});
        return f;
    }
    if (status == RECOVERING)
        return fixture_recover(&o, (struct vsr_superblock){.view = VIEW, .incarnation = 1});
    f = fixture_start(&o);
    leave(f, VIEW);
    if (status == NORMAL && self == 4) {
        for (uint32_t from = 0; from < 2; from++)
            fixture_message(f, make_do_view_change(f, from, VIEW, 0, &none, 0, 0));
    } else if (status == NORMAL) {
        fixture_message(f, make_start_view(f, VIEW, &none, 0, 0));
    } else if (status == HALTED) {
        struct vsr_effects out = {.list = f->driver.effects.list,
                                  .capacity = f->driver.effects.capacity};
        vsr_halt(f->r, VSR_NOTICE_DATA_LOST, 0, &out);
    }
    fixture_clear(f);
    return f;
}

/** What rules G3 to G5 say; VSR_DROP_NONE: its handler decides. */
static enum vsr_drop expected(const struct row *row, uint32_t self, uint32_t status, vsr_view view,
                              uint64_t from)
{
    const vsr_view ours = status == STARTING ? 0 : VIEW;

    if (row->sender != CLIENT_ONLY && view > VSR_VIEW_MAX) return VSR_DROP_MALFORMED;
    if ((row->statuses & status) == 0) return VSR_DROP_STATUS;
    if (row->sender == CLIENT_ONLY) return VSR_DROP_NONE;
    if (from >= 5 || from == self) return VSR_DROP_WRONG_SENDER;
    if (row->sender == PRIMARY && from != view % 5) return VSR_DROP_WRONG_SENDER;
    if (row->views != HANDLED && view < ours) return VSR_DROP_STALE_VIEW;
    if (row->views != HANDLED && view > ours) return VSR_DROP_NEWER_VIEW;
    if (row->sender == BACKUP_TO_PRIMARY && ours % 5 != self) return VSR_DROP_WRONG_SENDER;
    /* Its handler's: between views there is nothing to answer with. */
    if (row->type == VSR_PING && status == VIEW_CHANGE && view <= ours) return VSR_DROP_STATUS;
    return VSR_DROP_NONE;
}

static bool is_admission(enum vsr_drop why)
{
    return why == VSR_DROP_STATUS || why == VSR_DROP_WRONG_SENDER || why == VSR_DROP_STALE_VIEW ||
           why == VSR_DROP_NEWER_VIEW || why == VSR_DROP_MALFORMED;
}

/** A message of the row's type with nothing in its body. */
static struct vsr_buffer make_row(const struct fixture *f, const struct row *row, vsr_view view,
                                  uint64_t from)
{
    struct vsr_buffer b = make_header(f, row->type, row->bytes, from);

    b.header->view = view;
    return b;
}

/** Every sender and view, for one row, status and replica. */
static void try_row(const struct row *row, uint32_t self, uint32_t status)
{
    static const uint64_t senders[] = {0, 1, 2, 3, 4, 5, UINT64_MAX};
    static const vsr_view views[] = {0,         4, 8, 9, 10, 14, VSR_VIEW_MAX, VSR_VIEW_MAX + 1,
                                     UINT64_MAX};

    for (uint32_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        for (uint32_t k = 0; k < sizeof views / sizeof views[0]; k++) {
            struct fixture *f = in_status(self, status);
            struct vsr_buffer b = make_row(f, row, views[k], senders[i]);
            const enum vsr_drop want = expected(row, self, status, views[k], senders[i]);
            const enum vsr_drop got = fixture_message(f, b);
            if (want != VSR_DROP_NONE)
                cr_assert_eq(got, want, "%s from %llu of view %llu in status %u at %u: %s, not %s",
                             vsr_message_name((uint8_t)row->type), (unsigned long long)senders[i],
                             (unsigned long long)views[k], status, self, vsr_drop_name(got),
                             vsr_drop_name(want));
            else if (row->views != HANDLED)
                cr_assert(got != VSR_DROP_STALE_VIEW && got != VSR_DROP_NEWER_VIEW);
            /* What is not looked at moves nobody, but that a newer view has started. */
            const bool follows = row->views == FOLLOWED && want == VSR_DROP_NEWER_VIEW;
            if (is_admission(want) && !follows)
                cr_assert_eq(seen(f).view, status == STARTING ? 0 : VIEW);
            if (follows) cr_assert_eq(seen(f).view == views[k], views[k] % 5 != self);
            fixture_end(f);
        }
    }
}

#define TRY_ALL(name, self, status)                                                                \
    Test(admission, name)                                                                          \
    {                                                                                              \
        for (uint32_t i = 0; i < ROWS; i++)                                                        \
            try_row(&rows[i], self, status);                                                       \
    }

/* Every row at a backup and at a primary, in every status. */
TRY_ALL(backup_starting, 2, STARTING)
TRY_ALL(backup_normal, 2, NORMAL)
TRY_ALL(primary_normal, 4, NORMAL)
TRY_ALL(backup_between_views, 2, VIEW_CHANGE)
TRY_ALL(primary_between_views, 4, VIEW_CHANGE)
TRY_ALL(backup_recovering, 2, RECOVERING)
TRY_ALL(primary_recovering, 4, RECOVERING)
TRY_ALL(backup_halted, 2, HALTED)

/* Every message type has a row, but those that replicas do not receive. */
Test(admission, every_type_is_in_the_table)
{
    struct vsr_replica_options o = fixture_options(5, 2);
    struct fixture *f = fixture_start(&o);

    for (uint32_t type = 0; type < VSR_MESSAGE_COUNT; type++) {
        bool has_row = false;
        for (uint32_t i = 0; i < ROWS; i++)
            has_row |= rows[i].type == type;
        const bool is_to_clients = type == VSR_MESSAGE_NONE || type == VSR_REPLY ||
                                   type == VSR_NOT_PRIMARY || type == VSR_NEW_VIEW;
        cr_assert_neq(has_row, is_to_clients, "%s", vsr_message_name((uint8_t)type));
        if (is_to_clients)
            cr_assert_eq(fixture_message(f, make_header(f, (enum vsr_message_type)type, 64, 0)),
                         VSR_DROP_WRONG_SENDER);
    }
    fixture_end(f);
}

/* G1: every type has its size, exactly or at least; at n - 8, n and n + 8. */
Test(admission, sizes_are_checked)
{
    struct vsr_replica_options o = fixture_options(5, 2);

    for (uint32_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        const bool is_fixed = row->type != VSR_REQUEST && row->type != VSR_PREPARE &&
                              row->type != VSR_NEW_STATE && row->type != VSR_CHUNK;
        const uint32_t least = row->type == VSR_REQUEST   ? 64
                               : row->type == VSR_PREPARE ? 152
                               : row->type == VSR_CHUNK   ? 112
                                                          : row->bytes;
        for (uint32_t bytes = least - 8; bytes <= least + 8; bytes += 4) {
            struct fixture *f = in_status(2, HALTED); /* so that no handler sees it */
            struct vsr_buffer b = make_header(f, row->type, least + 8, 4);
            b.header->bytes = bytes;
            const bool fits = bytes == least || (!is_fixed && bytes == least + 8);
            cr_assert_eq(fixture_message(f, b), fits ? VSR_DROP_STATUS : VSR_DROP_MALFORMED,
                         "%s of %u bytes", vsr_message_name((uint8_t)row->type), bytes);
            fixture_end(f);
        }
        struct fixture *f = fixture_start(&o);
        struct vsr_buffer b = make_row(f, row, 0, 0);
        b.header->bytes = VSR_MESSAGE_BYTES_MAX + 8;
        cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED);
        b = make_row(f, row, 0, 0);
        b.header->epoch = 1;
        if (row->sender != CLIENT_ONLY && (row->statuses & NORMAL) != 0)
            cr_assert_eq(fixture_message(f, b), VSR_DROP_WRONG_EPOCH);
        else
            fixture_buffers.unref(NULL, b.handle);
        fixture_end(f);
    }
}

/* G5: whoever speaks of an older view is told of ours, once per T_resend, and only by NORMAL ones.
 */
Test(admission, older_views_are_answered_with_a_pong)
{
    for (uint32_t status = NORMAL; status <= VIEW_CHANGE; status *= 2) {
        struct fixture *f = in_status(2, status);
        for (uint32_t i = 0; i < 2; i++) {
            for (uint32_t k = 0; k < f->options.resend_ticks; k++) {
                fixture_message(f, make_row(f, &rows[5], 3, 1));
                cr_assert_eq(fixture_sent_count(f, VSR_PONG), status == NORMAL && k == 0);
                fixture_message(f, make_row(f, &rows[5], 3, 3));
                cr_assert_eq(fixture_sent_count(f, VSR_PONG), status == NORMAL && k == 0);
                fixture_tick(f);
            }
        }
        fixture_end(f);
    }
}

/* 7.2, 16: Ping is answered by who is NORMAL, and not with an older view: that one is joined, for
 * those who went there had a quorum's votes. */
Test(admission, ping_is_answered_with_the_view)
{
    struct fixture *f = in_status(2, NORMAL);

    cr_assert_eq(fixture_message(f, make_ping(f, 1, VIEW)), VSR_DROP_NONE);
    cr_assert_eq(SENT(f, VSR_PONG, vsr_pong)->header.view, VIEW);
    cr_assert_eq(receivers(f, VSR_PONG), 1u << 1);
    cr_assert_eq(fixture_message(f, make_ping(f, 1, 3)), VSR_DROP_NONE);
    cr_assert_eq(fixture_sent_count(f, VSR_PONG), 1);
    cr_assert_eq(fixture_message(f, make_ping(f, 1, VIEW + 1)), VSR_DROP_NONE);
    cr_assert_eq(fixture_sent_count(f, VSR_PONG), 0);
    cr_assert_eq(seen(f).view, VIEW + 1);
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change)->header.view, VIEW + 1);
    fixture_message(f, make_ping(f, 1, VIEW + 3));
    cr_assert_eq(seen(f).view, VIEW + 3);
    fixture_end(f);
}
