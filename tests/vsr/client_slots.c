/**
 * Sessions of one client that have the same slot, one after the other: rule 5.3 of DESIGN.md.
 */
#include "desk.h"
#include "leak_check.h"

#include "client_state.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(client_slots);

/** Opens session `index` of the desk with the Register that it has sent as `nth`. */
static void register_as(struct desk *d, const uint64_t id[2], vsr_session session, uint32_t slot)
{
    receive_reply(d, (struct vsr_reply){.session = session, .slot = slot, .payload_bytes = 16}, id,
                  0);
}

/* 5.3: two sessions of one client that have the same slot, one after the other: the older one is
 * told that it is gone, the younger one gets its replies, in whatever order the news comes. */
Test(client_slots, 5_3_sessions_that_share_a_slot)
{
    for (int is_late = 0; is_late < 2; is_late++) {
        struct desk d = open_desk(2, 0);
        uint64_t id[2][2];
        vsr_client_open(d.c, &d.out);
        vsr_client_turn_end(d.c, &d.out);
        for (uint32_t i = 0; i < 2; i++)
            read_id(&d, i, NULL, id[i]);
        register_as(&d, id[is_late], is_late ? 9 : 5, 0);
        register_as(&d, id[!is_late], is_late ? 5 : 9, 0);
        drop_effects(&d);
        const uint32_t older = 0; /* session 5, evicted by 9 */
        const uint32_t younger = 1;
        submit(&d, older);
        submit(&d, younger);
        receive_reply(&d, (struct vsr_reply){.session = 9, .number = 1, .slot = 0}, NULL, 0);
        cr_assert_eq(count_effects(&d, VSR_CLIENT_RESULT), 1);
        cr_assert_eq(d.out.list[0].session, younger);
        drop_effects(&d);
        receive_reply(
            &d,
            (struct vsr_reply){.session = 5, .number = 1, .slot = 0, .status = VSR_REPLY_EVICTED},
            NULL, 0);
        cr_assert_eq(count_effects(&d, VSR_CLIENT_EVICTED), 1);
        cr_assert_eq(d.out.list[0].session, older);
        close_desk(&d);
    }
}

/** Answers the Registers that are being sent: each session has slot 0, one after the other, with
 * the numbers from `first` on; and each waits for an answer then. */
static void crowd(struct desk *d, vsr_session first)
{
    uint64_t(*id)[2] = calloc(d->sessions, sizeof *id);

    for (uint32_t i = 0; i < d->sessions; i++)
        read_id(d, i, NULL, id[i]);
    drop_effects(d);
    for (uint32_t i = 0; i < d->sessions; i++)
        register_as(d, id[i], first + i, 0);
    cr_assert_eq(count_effects(d, VSR_CLIENT_OPENED), d->sessions);
    for (uint32_t i = 0; i < d->sessions; i++)
        submit(d, d->out.list[i].session);
    free(id);
    drop_effects(d);
    vsr_client_turn_end(d->c, &d->out);
    drop_effects(d);
}

static struct desk crowded_desk(uint32_t sessions)
{
    struct desk d = open_desk(sessions, 0);

    vsr_client_open(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    crowd(&d, 5);
    return d;
}

/** Tells each session that it is gone, the last one first; returns how many are looked at. */
static uint64_t evict_all(struct desk *d, vsr_session first, uint64_t number)
{
    const uint64_t before = d->c->displaced.read;

    for (uint32_t i = d->sessions; i-- > 0;)
        receive_reply(
            d,
            (struct vsr_reply){.session = first + i, .number = number, .status = VSR_REPLY_EVICTED},
            NULL, 0);
    cr_assert_eq(count_effects(d, VSR_CLIENT_EVICTED), d->sessions);
    for (uint32_t i = 0; i < d->sessions; i++)
        cr_assert_eq(vsr_client_session_state(d->c, i), VSR_SESSION_REGISTERING);
    return d->c->displaced.read - before;
}

/* Rule 10 of liveness: whoever is evicted costs a look or two, however many sessions wait. Those
 * that have opened anew and are evicted again are as well found as the first time. */
Test(client_slots, evictions_do_not_look_at_all_sessions)
{
    for (uint32_t sessions = 256; sessions <= 512; sessions *= 2) {
        struct desk d = crowded_desk(sessions);
        for (uint32_t round = 0; round < 2; round++) {
            const vsr_session first = 5 + round * 10000;
            if (round > 0) crowd(&d, first);
            const uint64_t looks = evict_all(&d, first, 1);
            cr_assert_geq(looks, sessions - 1, "each that lost its slot is looked at");
            cr_assert_leq(looks, 4 * sessions, "%u sessions: %u looks", sessions, (unsigned)looks);
            vsr_client_turn_end(d.c, &d.out);
        }
        close_desk(&d);
    }
}

/* 5.5: one whose slot another session had closes as well when that one has closed before it. */
Test(client_slots, 5_5_session_closes_after_the_one_that_has_its_slot)
{
    struct desk d = crowded_desk(2);

    receive_reply(&d, (struct vsr_reply){.session = 6, .number = 1}, NULL, 0);
    vsr_client_leave(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    drop_effects(&d);
    receive_reply(&d, (struct vsr_reply){.session = 6, .number = 2}, NULL, 0);
    cr_assert_eq(vsr_client_session_state(d.c, 1), VSR_SESSION_CLOSED);
    receive_reply(&d, (struct vsr_reply){.session = 5, .number = 2, .status = VSR_REPLY_EVICTED},
                  NULL, 0);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_CLOSED);
    close_desk(&d);
}
