/**
 * What VSR_LOG=debug shows of a cluster on stderr.
 */
#include "leak_check.h"

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(log);

static char text[1 << 20]; /* what was written to stderr */

static void read_back(FILE *file)
{
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
}

/** Whether a line of a replica holds words. */
static bool has_line(uint32_t replica, const char *words)
{
    char of[32];

    snprintf(of, sizeof of, " replica %u ", replica);
    for (const char *line = text; (line = strstr(line, of)) != NULL; line++) {
        const char *end = strchr(line, '\n');
        const char *at = strstr(line, words);
        if (at != NULL && end != NULL && at < end) return true;
    }
    return false;
}

/* trace.h: events, messages in both directions and notices, each with its replica. */
Test(log, shows_events_messages_and_notices)
{
    struct world w;
    FILE *file = tmpfile();
    const int saved = dup(STDERR_FILENO);
    uint64_t value;

    cr_assert_not_null(file);
    cr_assert_eq(setenv("VSR_LOG", "debug", 1), 0);
    cr_assert_geq(dup2(fileno(file), STDERR_FILENO), 0);
    world_init(&w);
    w.options.on_notice = NULL; /* a line that the log has already is not printed twice */
    world_set_replicas(&w, 3);
    world_start_caller(&w);
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND), 0);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 2), 0);
    world_kill(&w, 0);
    cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND), 0);
    world_stop(&w);
    cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
    close(saved);
    read_back(file);
    fclose(file);

    cr_assert(has_line(2, "is paused"));
    cr_assert(has_line(2, "runs"));
    cr_assert(has_line(0, "is down"));
    cr_assert_not(has_line(1, "is down"));
    cr_assert(has_line(1, "-> DoViewChange") || has_line(2, "-> DoViewChange"), "%s", text);
    cr_assert(has_line(1, "<- DoViewChange") || has_line(2, "<- DoViewChange"));
    cr_assert(has_line(1, vsr_notice_text(VSR_NOTICE_VIEW_CHANGE)));
}
