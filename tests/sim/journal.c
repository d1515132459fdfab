/**
 * See journal.h.
 */
#include "journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_target(FILE *file, int target)
{
    if (target >= 0)
        fprintf(file, "%d", target);
    else
        fprintf(file, "client %d", -1 - target);
}

static void print_note(FILE *file, const struct note *note)
{
    char line[256];

    fprintf(file, "%10" PRIu64 ".%03u ", note->time / TICK, (unsigned)(note->time % TICK));
    if (note->kind == NOTE_TEXT) {
        fprintf(file, "%s\n", note->text);
        return;
    }
    vsr_trace_message(line, sizeof line, (const struct vsr_header *)(const void *)note->words);
    if (note->kind == NOTE_SENT) {
        print_target(file, note->target);
        fprintf(file, " sends %s", line);
        if (note->to != 0) fprintf(file, " to");
        for (int i = 0; i < VSR_REPLICAS_MAX; i++)
            if ((note->to >> i & 1) != 0) fprintf(file, " %d", i);
    } else {
        print_target(file, note->target);
        fprintf(file, " gets  %s", line);
        if (note->reason != VSR_DROP_NONE)
            fprintf(file, "  [%s]", vsr_drop_name((enum vsr_drop)note->reason));
    }
    fprintf(file, "\n");
}

static struct note *next_note(struct journal *j)
{
    struct note *note = &j->notes[j->count++ % JOURNAL_NOTES];
    note->time = *j->now;
    note->reason = 0;
    return note;
}

static void mix(struct journal *j, uint64_t value)
{
    j->digest = (j->digest ^ value) * 0x9E3779B97F4A7C15ull;
    j->digest ^= j->digest >> 29;
}

void journal_text(struct journal *j, const char *format, ...)
{
    struct note *note = next_note(j);
    va_list arguments;

    note->kind = NOTE_TEXT;
    va_start(arguments, format);
    vsnprintf(note->text, sizeof note->text, format, arguments);
    va_end(arguments);
    if (j->level >= VSR_TRACE_INFO) print_note(stdout, note);
}

static bool is_shown(const struct journal *j, const struct note *note)
{
    const struct vsr_header *m = (const struct vsr_header *)(const void *)note->words;
    return j->level >= vsr_trace_level_of(m->type);
}

void journal_message(struct journal *j, enum note_kind kind, const struct vsr_header *m,
                     int16_t target, uint32_t to)
{
    struct note *note = next_note(j);
    const uint32_t bytes = m->bytes < NOTE_BYTES ? m->bytes : NOTE_BYTES;

    note->kind = (uint8_t)kind;
    note->target = target;
    note->to = to;
    memcpy(note->words, m, bytes);
    mix(j, note->time);
    mix(j, m->type | m->view << 8 | (uint64_t)m->bytes << 40);
    mix(j, m->from ^ (uint64_t)to << 32 ^ (bytes >= 8 ? note->words[bytes / 8 - 1] : 0));
    if (kind == NOTE_SENT && is_shown(j, note)) print_note(stdout, note);
}

void journal_reason(struct journal *j, enum vsr_drop why)
{
    struct note *note = &j->notes[(j->count - 1) % JOURNAL_NOTES];
    note->reason = (uint16_t)why;
    if (is_shown(j, note)) print_note(stdout, note);
}

static void print_tail(const struct journal *j, FILE *file)
{
    uint64_t first = j->count > JOURNAL_SHOWN ? j->count - JOURNAL_SHOWN : 0;

    fprintf(file, "The last events:\n");
    for (uint64_t i = first; i < j->count; i++)
        print_note(file, &j->notes[i % JOURNAL_NOTES]);
}

static void print_repeat(const struct journal *j, FILE *file)
{
    const struct scenario *s = j->scenario;

    fprintf(file, "Repeat: tests/simulate --seed %" PRIu64 " --profile %s", s->seed,
            s->profile->name);
    if (j->replicas_asked != 0) fprintf(file, " --replicas %u", j->replicas_asked);
    fprintf(file, "\n");
}

static _Noreturn void fail(struct journal *j, enum outcome outcome, const char *what)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);

    if (file != NULL) {
        fprintf(file, "\nSEED %" PRIu64 " FAILED (profile %s): %s\n", j->scenario->seed,
                j->scenario->profile->name, what);
        scenario_print(j->scenario, file);
        if (j->level < VSR_TRACE_ALL) print_tail(j, file);
        fprintf(file, "SEED %" PRIu64 " FAILED (profile %s): %s\n", j->scenario->seed,
                j->scenario->profile->name, what);
        print_repeat(j, file);
        fclose(file);
        fflush(stdout);
        /* One write, so that the reports of several processes do not mix. */
        for (size_t done = 0; done < bytes;) {
            ssize_t wrote = write(STDOUT_FILENO, text + done, bytes - done);
            if (wrote <= 0) break;
            done += (size_t)wrote;
        }
    }
    _exit((int)outcome);
}

void journal_fail(struct journal *j, enum outcome outcome, const char *format, ...)
{
    char what[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    fail(j, outcome, what);
}

void journal_crash(struct journal *j, const char *what)
{
    fail(j, OUTCOME_CRASH, what);
}
