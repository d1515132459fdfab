/**
 * vsr/trace.h: messages as lines of text.
 */
#include "leak_check.h"

#include <vsr/trace.h>

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(trace);

/* A line names type, sender, receiver, view and the fields that matter. */
Test(trace, a_prepare_shows_its_entry)
{
    struct vsr_prepare p = {
        .header = {.type = VSR_PREPARE,
                   .to = VSR_TO_ALL,
                   .from = 2,
                   .view = 5,
                   .count = 3,
                   .bytes = sizeof p},
        .commit = 11,
        .entry = {.op = 12, .view = 4, .checksum = 0xABCDull << 48},
    };
    char text[200];
    int length = vsr_trace_message(text, sizeof text, &p.header);

    cr_assert_str_eq(text, "Prepare 2->* view 5 op 12#abcd parent #0000 of view 4, commit 11, "
                           "3 requests");
    cr_assert_eq(length, (int)strlen(text));
}

/* Every type has a line, and no field is read that a short message does not have. */
Test(trace, a_message_cut_short_shows_its_header_only)
{
    struct vsr_header m = {.from = 1, .view = 9, .bytes = sizeof m};
    char text[200];

    for (uint8_t type = 1; type < VSR_MESSAGE_COUNT; type++) {
        m.type = type;
        cr_assert_gt(vsr_trace_message(text, sizeof text, &m), 0);
        cr_assert(strncmp(text, vsr_message_name(type), strlen(vsr_message_name(type))) == 0);
        cr_assert_neq(strstr(text, "view 9"), NULL, "%s", text);
    }
}

/* The length is that of the whole line, as snprintf's. */
Test(trace, a_line_without_room_is_cut)
{
    struct vsr_header m = {.type = VSR_PING, .from = 1, .view = 9, .bytes = sizeof m};
    char whole[100], cut[8];

    int length = vsr_trace_message(whole, sizeof whole, &m);
    cr_assert_eq(vsr_trace_message(cut, sizeof cut, &m), length);
    cr_assert_eq(strncmp(whole, cut, sizeof cut - 1), 0);
    cr_assert_eq(cut[7], '\0');
    cr_assert_eq(vsr_trace_message(NULL, 0, &m), length);
}

/* Normal operation is loud, view changes are rare. */
Test(trace, rare_messages_are_shown_at_a_lower_level)
{
    cr_assert_eq(vsr_trace_level_of(VSR_PREPARE), VSR_TRACE_ALL);
    cr_assert_eq(vsr_trace_level_of(VSR_DO_VIEW_CHANGE), VSR_TRACE_DEBUG);
}
