/**
 * The search for an order. See linearizable.h.
 *
 * Depth first, one key at a time. What can come next is any operation called before the first
 * return of those not yet placed; the calls and returns of these stand in a doubly linked list by
 * time, from which placing an operation takes two entries and from which backtracking restores them
 * (Lowe). A configuration, that is, which operations are placed and the state they lead to, is
 * visited once.
 *
 * Five rules keep the search small. All hold for every model, as it is deterministic.
 *   - A read that fits is placed at once and never retracted alone: any order with it in a later
 *     place is also one with it here. Only a read: what happens to change nothing here, such as
 *     writing the value that is there, may be needed later to undo a change.
 *   - Operations of unknown outcome (below: unknown ones) come last. All orders of the known ones
 *     are sound without them, and mostly they were either never executed or are not needed yet.
 *   - Of unknown ones with the same input the earliest called is taken first: it can stand for any.
 *   - An unknown one is left out where it changes nothing, or where it makes the unknown one just
 *     before it superfluous: the order without the superfluous one leaves more for later.
 *   - At most run_max unknown ones are tried in a row, more only if that finds nothing. Without, a
 *     depth first search would try half of all subsets before it tries the second one alone.
 */
#include "linearizable.h"

#include "word_set.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint64_t counter_step(uint64_t state, const uint64_t input[2], uint64_t *output)
{
    return *output = state + input[0];
}

static uint64_t register_step(uint64_t state, const uint64_t input[2], uint64_t *output)
{
    bool is_write = input[0] == LIN_WRITE;

    *output = is_write ? 0 : state;
    return is_write ? input[1] : state;
}

static bool counter_is_read(const uint64_t input[2])
{
    return input[0] == 0;
}

static bool register_is_read(const uint64_t input[2])
{
    return input[0] != LIN_WRITE;
}

const struct lin_model lin_counter = {
    .initial = 0, .step = counter_step, .is_read = counter_is_read};
const struct lin_model lin_register = {
    .initial = 0, .step = register_step, .is_read = register_is_read};

/** A candidate: a call in the list, or the first return there and a kind of unknown ones. */
struct cursor {
    uint32_t entry;
    uint32_t kind;
};

/** An operation placed, with what was before it. */
struct frame {
    const struct lin_operation *operation;
    struct cursor at;
    uint64_t state;
    uint32_t known_end;
    uint32_t run;
    bool is_only; /* nothing else needs to be tried in its place */
};

struct search {
    const struct lin_model *model;
    const struct lin_operation *operations; /* all of the history */

    /* The known ones by call. Entry 2i of the list is the call of known[i], 2i + 1 its return; the
     * list's head is 2 known_count + 1: like a return, it ends a walk over calls. */
    const struct lin_operation **known;
    uint32_t known_count;
    uint32_t *next;
    uint32_t *previous;

    /* The unknown ones by kind, within a kind by call: kind k starts at kind_start[k]. */
    const struct lin_operation **unknown;
    uint32_t unknown_count;
    uint32_t *kind_start;
    uint32_t *kind_used;    /* placed */
    uint32_t *unknown_bits; /* placed, as a set: what a configuration says of them */
    uint32_t kinds;

    struct frame *stack;
    uint32_t depth;
    uint32_t known_placed;
    uint32_t known_end; /* one more than the largest known one placed */
    uint32_t run;       /* unknown ones on top of the stack */
    uint32_t run_max;
    bool was_cut; /* run_max kept something from being tried */
    uint64_t state;
    uint64_t steps;
    uint64_t steps_max;
    struct word_set visited;

    /* The furthest the search got: the latest first return, then the most known ones, then the
     * fewest unknown ones. */
    bool has_progress;
    uint64_t best_return;
    uint32_t best_placed;
    struct lin_report report;
};

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_key_and_call(const void *a, const void *b)
{
    const struct lin_operation *x = *(const struct lin_operation *const *)a;
    const struct lin_operation *y = *(const struct lin_operation *const *)b;
    int order = compare(x->key, y->key);

    if (order == 0) order = compare(x->call, y->call);
    if (order == 0) order = (x > y) - (x < y);
    return order;
}

static int by_input_and_call(const void *a, const void *b)
{
    const struct lin_operation *x = *(const struct lin_operation *const *)a;
    const struct lin_operation *y = *(const struct lin_operation *const *)b;
    int order = compare(x->input[0], y->input[0]);

    if (order == 0) order = compare(x->input[1], y->input[1]);
    return order != 0 ? order : by_key_and_call(a, b);
}

struct return_entry {
    uint64_t time;
    uint32_t entry;
};

static int by_time(const void *a, const void *b)
{
    const struct return_entry *x = a;
    const struct return_entry *y = b;
    int order = compare(x->time, y->time);

    return order != 0 ? order : compare(x->entry, y->entry);
}

static void append(struct search *s, uint32_t *last, uint32_t entry)
{
    s->next[*last] = entry;
    s->previous[entry] = *last;
    *last = entry;
}

/** Links calls and returns by time; at one instant calls come first, so that they are concurrent.
 */
static void link_entries(struct search *s)
{
    const uint32_t head = 2 * s->known_count + 1;
    struct return_entry *returns = sim_allocate(NULL, s->known_count, sizeof *returns);
    uint32_t last = head;
    uint32_t call = 0;

    s->next = sim_allocate(NULL, head + 1, sizeof *s->next);
    s->previous = sim_allocate(NULL, head + 1, sizeof *s->previous);
    for (uint32_t i = 0; i < s->known_count; i++)
        returns[i] = (struct return_entry){.time = s->known[i]->ret, .entry = 2 * i + 1};
    qsort(returns, s->known_count, sizeof *returns, by_time);
    for (uint32_t i = 0; i < s->known_count; i++) {
        while (call < s->known_count && s->known[call]->call <= returns[i].time)
            append(s, &last, 2 * call++);
        append(s, &last, returns[i].entry);
    }
    append(s, &last, head);
    free(returns);
}

static void group_unknown(struct search *s)
{
    const struct lin_operation **u = s->unknown;

    qsort(u, s->unknown_count, sizeof(const struct lin_operation *), by_input_and_call);
    s->kind_start = sim_allocate(NULL, s->unknown_count + 1, sizeof *s->kind_start);
    for (uint32_t i = 0; i < s->unknown_count; i++) {
        bool is_first =
            i == 0 || u[i]->input[0] != u[i - 1]->input[0] || u[i]->input[1] != u[i - 1]->input[1];
        if (is_first) s->kind_start[s->kinds++] = i;
    }
    s->kind_start[s->kinds] = s->unknown_count;
    s->kind_used = sim_allocate(NULL, s->kinds, sizeof *s->kind_used);
    memset(s->kind_used, 0, s->kinds * sizeof *s->kind_used);
    size_t words = (s->unknown_count + 31) / 32;
    s->unknown_bits = sim_allocate(NULL, words, sizeof *s->unknown_bits);
    memset(s->unknown_bits, 0, words * sizeof *s->unknown_bits);
}

static void search_init(struct search *s, const struct lin_operation *const *sorted, size_t count)
{
    s->known = sim_allocate(NULL, count, sizeof(const struct lin_operation *));
    s->unknown = sim_allocate(NULL, count, sizeof(const struct lin_operation *));
    for (size_t i = 0; i < count; i++) {
        sim_require(sorted[i]->call <= sorted[i]->ret,
                    "an operation returned before it was called");
        if (sorted[i]->ret == LIN_NEVER) {
            s->unknown[s->unknown_count++] = sorted[i];
        } else {
            s->known[s->known_count++] = sorted[i];
        }
    }
    link_entries(s);
    group_unknown(s);
    s->stack = sim_allocate(NULL, count, sizeof *s->stack);
    s->state = s->model->initial;
    s->report.key = sorted[0]->key;
    s->report.operations = count;
}

static void search_deinit(struct search *s)
{
    free(s->known);
    free(s->next);
    free(s->previous);
    free(s->unknown);
    free(s->kind_start);
    free(s->kind_used);
    free(s->unknown_bits);
    free(s->stack);
}

static bool is_call(uint32_t entry)
{
    return entry % 2 == 0;
}

static struct cursor first_candidate(const struct search *s)
{
    return (struct cursor){.entry = s->next[2 * s->known_count + 1], .kind = 0};
}

static uint64_t step(struct search *s, uint64_t state, const struct lin_operation *o,
                     uint64_t *output)
{
    s->steps++;
    return s->model->step(state, o->input, output);
}

static void take_out(struct search *s, uint32_t entry)
{
    s->next[s->previous[entry]] = s->next[entry];
    s->previous[s->next[entry]] = s->previous[entry];
}

/** Undoes the last take_out that was not undone. */
static void put_back(struct search *s, uint32_t entry)
{
    s->next[s->previous[entry]] = entry;
    s->previous[s->next[entry]] = entry;
}

static struct frame *push(struct search *s, struct cursor at, uint64_t state)
{
    struct frame *f = &s->stack[s->depth++];

    *f = (struct frame){
        .at = at, .state = s->state, .known_end = s->known_end, .run = s->run, .is_only = false};
    s->state = state;
    return f;
}

static void push_known(struct search *s, struct cursor at, uint64_t state, bool is_only)
{
    const uint32_t i = at.entry / 2;
    struct frame *f = push(s, at, state);

    f->operation = s->known[i];
    f->is_only = is_only;
    take_out(s, at.entry);
    take_out(s, at.entry + 1);
    if (s->known_end < i + 1) s->known_end = i + 1;
    s->known_placed++;
    s->run = 0;
}

static void push_unknown(struct search *s, struct cursor at, uint64_t state)
{
    const uint32_t u = s->kind_start[at.kind] + s->kind_used[at.kind]++;
    struct frame *f = push(s, at, state);

    f->operation = s->unknown[u];
    s->unknown_bits[u / 32] ^= UINT32_C(1) << u % 32;
    s->run++;
}

static struct frame pop(struct search *s)
{
    const struct frame f = s->stack[--s->depth];

    if (is_call(f.at.entry)) {
        put_back(s, f.at.entry + 1);
        put_back(s, f.at.entry);
        s->known_placed--;
    } else {
        uint32_t u = s->kind_start[f.at.kind] + --s->kind_used[f.at.kind];
        s->unknown_bits[u / 32] ^= UINT32_C(1) << u % 32;
    }
    s->state = f.state;
    s->known_end = f.known_end;
    s->run = f.run;
    return f;
}

/**
 * Notes the configuration; false if it was visited before.
 *
 * The known ones placed are all below known_end but those still in the list. These were all running
 * when known_end - 1 was called, so there are only as many as clients: the string stays short
 * however long the history is.
 */
static bool visit(struct search *s)
{
    const uint32_t unknown_words = (s->unknown_count + 31) / 32;
    uint32_t missing = s->known_end - s->known_placed;
    uint32_t count = 0;
    uint32_t *string = word_set_reserve(&s->visited, (size_t)missing + unknown_words + 3);

    string[count++] = s->known_end;
    for (uint32_t e = first_candidate(s).entry; missing > 0; e = s->next[e], missing--)
        string[count++] = e;
    memcpy(string + count, s->unknown_bits, unknown_words * sizeof *string);
    count += unknown_words;
    string[count++] = (uint32_t)s->state;
    string[count++] = (uint32_t)(s->state >> 32);
    return word_set_add(&s->visited, count);
}

/** Places a known read that fits, if there is one. */
static bool place_read(struct search *s)
{
    if (s->model->is_read == NULL) return false;
    for (struct cursor at = first_candidate(s); is_call(at.entry); at.entry = s->next[at.entry]) {
        const struct lin_operation *o = s->known[at.entry / 2];
        uint64_t output;
        if (!s->model->is_read(o->input)) continue;
        sim_require(step(s, s->state, o, &output) == s->state, "a read changed the state");
        if (output != o->output) continue;
        push_known(s, at, s->state, true);
        return true;
    }
    return false;
}

static bool place_known(struct search *s, struct cursor at)
{
    const struct lin_operation *o = s->known[at.entry / 2];
    uint64_t output;
    uint64_t state = step(s, s->state, o, &output);

    if (output != o->output) return false;
    push_known(s, at, state, false);
    if (visit(s)) return true;
    pop(s);
    return false;
}

/** Places the next of a kind of unknown ones, unless that is of no use. */
static bool place_unknown(struct search *s, struct cursor at)
{
    uint32_t u = s->kind_start[at.kind] + s->kind_used[at.kind];
    uint64_t output;

    if (u == s->kind_start[at.kind + 1]) return false;
    if (s->unknown[u]->call > s->known[at.entry / 2]->ret) return false;
    uint64_t state = step(s, s->state, s->unknown[u], &output);
    if (state == s->state) return false;
    if (s->run > 0) {
        uint64_t before = s->stack[s->depth - 1].state;
        if (step(s, before, s->unknown[u], &output) == state) return false;
    }
    if (s->run == s->run_max) {
        s->was_cut = true;
        return false;
    }
    push_unknown(s, at, state);
    if (visit(s)) return true;
    pop(s);
    return false;
}

/** Places the first candidate from *at on that leads to a new configuration; else ends at *at. */
static bool place_next(struct search *s, struct cursor *at)
{
    for (; is_call(at->entry); at->entry = s->next[at->entry])
        if (place_known(s, *at)) return true;
    for (; at->kind < s->kinds; at->kind++)
        if (place_unknown(s, *at)) return true;
    return false;
}

/** Remembers where the search got furthest. `entry` is the first return not placed yet. */
static void note_progress(struct search *s, uint32_t entry)
{
    const struct lin_operation *stuck = s->known[entry / 2];
    struct lin_report *r = &s->report;
    bool is_further = !s->has_progress || stuck->ret > s->best_return;

    if (s->has_progress && stuck->ret == s->best_return) {
        is_further = s->known_placed > s->best_placed ||
                     (s->known_placed == s->best_placed && s->depth < r->placed);
    }
    if (!is_further) return;
    s->has_progress = true;
    s->best_return = stuck->ret;
    s->best_placed = s->known_placed;
    r->stuck = (size_t)(stuck - s->operations);
    r->placed = s->depth;
    r->state = s->state;
    r->recent_count = s->depth < LIN_RECENT_MAX ? s->depth : LIN_RECENT_MAX;
    const struct frame *f = s->stack + s->depth - r->recent_count;
    for (size_t i = 0; i < r->recent_count; i++)
        r->recent[i] = (size_t)(f[i].operation - s->operations);
}

static enum lin_verdict give_up(struct search *s)
{
    uint32_t entry = first_candidate(s).entry;

    while (is_call(entry))
        entry = s->next[entry];
    note_progress(s, entry);
    return LIN_UNDECIDED;
}

/** Takes back the last choice that has alternatives left to try, from *at on. */
static bool retract(struct search *s, struct cursor *at)
{
    while (s->depth > 0) {
        struct frame f = pop(s);
        if (f.is_only) continue;
        *at = f.at;
        if (is_call(at->entry)) {
            at->entry = s->next[at->entry];
        } else {
            at->kind++;
        }
        return true;
    }
    return false;
}

/** One search with the present run_max. LIN_WRONG leaves it as it was before. */
static enum lin_verdict search_once(struct search *s)
{
    struct cursor at = first_candidate(s);
    bool is_new = true; /* nothing was tried in this configuration yet */

    while (s->known_placed < s->known_count) {
        if (s->steps >= s->steps_max) return give_up(s);
        if ((is_new && place_read(s)) || place_next(s, &at)) {
            at = first_candidate(s);
            is_new = true;
            continue;
        }
        note_progress(s, at.entry);
        if (!retract(s, &at)) return LIN_WRONG;
        is_new = false;
    }
    return LIN_OK;
}

static enum lin_verdict search_run(struct search *s)
{
    enum lin_verdict verdict;

    for (s->run_max = 1;; s->run_max *= 2) {
        s->was_cut = false;
        word_set_init(&s->visited);
        verdict = search_once(s);
        word_set_deinit(&s->visited);
        if (verdict != LIN_WRONG || !s->was_cut) return verdict;
    }
}

/** Looks at one key; steps is also the count of those before it. */
static enum lin_verdict check_key(const struct lin_model *model,
                                  const struct lin_operation *operations,
                                  const struct lin_operation *const *sorted, size_t count,
                                  uint64_t steps_max, struct lin_report *why)
{
    struct search s = {.model = model, .operations = operations, .steps_max = steps_max};

    search_init(&s, sorted, count);
    enum lin_verdict verdict = search_run(&s);
    search_deinit(&s);
    s.report.steps = s.steps;
    *why = s.report;
    return verdict;
}

enum lin_verdict lin_check(const struct lin_model *model, const struct lin_operation *operations,
                           size_t count, uint64_t steps_max, struct lin_report *why)
{
    const struct lin_operation **sorted = sim_allocate(NULL, count, sizeof(void *));
    enum lin_verdict verdict = LIN_OK;
    struct lin_report report = {0};
    uint64_t steps = 0;

    sim_require(count < (size_t)1 << 30, "too many operations");
    for (size_t i = 0; i < count; i++)
        sorted[i] = &operations[i];
    qsort(sorted, count, sizeof(const struct lin_operation *), by_key_and_call);
    for (size_t start = 0, end; start < count && verdict != LIN_WRONG; start = end) {
        struct lin_report of_key;
        for (end = start + 1; end < count && sorted[end]->key == sorted[start]->key;)
            end++;
        enum lin_verdict v =
            check_key(model, operations, sorted + start, end - start, steps_max, &of_key);
        steps += of_key.steps;
        if (v == LIN_OK || v == verdict) continue; /* of two undecided keys the first is told */
        verdict = v;
        report = of_key;
    }
    free(sorted);
    report.steps = steps;
    if (why != NULL) *why = report;
    return verdict;
}

static void print_operation(FILE *file, const struct lin_operation *operations, size_t index)
{
    const struct lin_operation *o = &operations[index];

    fprintf(file, "  operation %zu: called %llu, ", index, (unsigned long long)o->call);
    if (o->ret == LIN_NEVER) {
        fprintf(file, "never returned, input %llu %llu\n", (unsigned long long)o->input[0],
                (unsigned long long)o->input[1]);
    } else {
        fprintf(file, "returned %llu, input %llu %llu, output %llu\n", (unsigned long long)o->ret,
                (unsigned long long)o->input[0], (unsigned long long)o->input[1],
                (unsigned long long)o->output);
    }
}

void lin_explain(FILE *file, const struct lin_operation *operations, size_t count,
                 const struct lin_report *why)
{
    const struct lin_operation *stuck = &operations[why->stuck];

    fprintf(file, "key %llu: no order found gets past the return of\n",
            (unsigned long long)why->key);
    print_operation(file, operations, why->stuck);
    fprintf(file, "the furthest one places %zu of %zu operations, state %llu, and ends with\n",
            why->placed, why->operations, (unsigned long long)why->state);
    for (size_t i = 0; i < why->recent_count; i++)
        print_operation(file, operations, why->recent[i]);
    fputs("running at the same time were\n", file);
    for (size_t i = 0; i < count; i++) {
        const struct lin_operation *o = &operations[i];
        bool overlaps = o->call <= stuck->ret && stuck->call <= o->ret;
        if (o != stuck && o->key == why->key && overlaps) print_operation(file, operations, i);
    }
}
