/**
 * The linearizability checker on tiny random histories, against one that tries all orders. SEED=n
 * in the environment runs one seed.
 */
#include "leak_check.h"
#include "linearizable.h"
#include "program.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>

LEAK_CHECKED_SUITE(linearizable_brute);

enum { TINY_MAX = 6, KEYS = 2, SEEDS = 20000 };

struct tiny {
    const struct lin_model *model;
    struct lin_operation history[TINY_MAX];
    uint32_t count;
    uint64_t random;
};

/** Compare and swap: expected, new; 1 if it swapped. A model of which the checker knows nothing. */
static uint64_t swap_step(uint64_t state, const uint64_t input[2], uint64_t *output)
{
    *output = state == input[0];
    return *output == 1 ? input[1] : state;
}

static const struct lin_model swap_model = {.initial = 1, .step = swap_step};
static const struct lin_model *const models[] = {&lin_counter, &lin_register, &swap_model};

static uint64_t roll(struct tiny *t, uint64_t sides)
{
    t->random = t->random * 6364136223846793005ull + 1442695040888963407ull;
    return (t->random >> 33) % sides;
}

/**
 * Tries every order of every selection that has all known operations, keys together: `used` are the
 * operations placed so far, in `order`.
 */
static bool some_order_fits(const struct tiny *t, uint32_t used, uint32_t *order, uint32_t placed,
                            const uint64_t *states)
{
    bool is_complete = true;

    for (uint32_t i = 0; i < t->count; i++)
        is_complete &= (used >> i & 1) != 0 || t->history[i].ret == LIN_NEVER;
    if (is_complete) return true;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct lin_operation *o = &t->history[i];
        uint64_t after[KEYS] = {states[0], states[1]};
        uint64_t output;
        bool fits = (used >> i & 1) == 0;
        for (uint32_t k = 0; k < placed; k++)
            fits &= o->ret >= t->history[order[k]].call;
        if (!fits) continue;
        after[o->key] = t->model->step(states[o->key], o->input, &output);
        if (o->ret != LIN_NEVER && o->output != output) continue;
        order[placed] = i;
        if (some_order_fits(t, used | UINT32_C(1) << i, order, placed + 1, after)) return true;
    }
    return false;
}

static bool brute_force(const struct tiny *t)
{
    const uint64_t states[KEYS] = {t->model->initial, t->model->initial};
    uint32_t order[TINY_MAX];

    return some_order_fits(t, 0, order, 0, states);
}

/** Executes the operations one by one, each at a random time between its ends. */
static void give_outputs(struct tiny *t)
{
    uint64_t states[KEYS] = {t->model->initial, t->model->initial};
    uint64_t when[TINY_MAX];

    for (uint32_t i = 0; i < t->count; i++) {
        const struct lin_operation *o = &t->history[i];
        uint64_t length = o->ret == LIN_NEVER ? 12 : o->ret - o->call + 1;
        when[i] = o->call + roll(t, length);
    }
    for (uint64_t now = 0; now < 64; now++) {
        for (uint32_t i = 0; i < t->count; i++) {
            struct lin_operation *o = &t->history[i];
            if (when[i] != now || (o->ret == LIN_NEVER && roll(t, 2) == 0)) continue;
            states[o->key] = t->model->step(states[o->key], o->input, &o->output);
        }
    }
}

static struct tiny make(uint64_t seed)
{
    struct tiny t = {.model = models[seed % 3], .random = seed};

    t.count = 1 + (uint32_t)roll(&t, TINY_MAX);
    const uint64_t keys = 1 + roll(&t, KEYS);
    const uint64_t span = 4 + roll(&t, 12);
    for (uint32_t i = 0; i < t.count; i++) {
        struct lin_operation *o = &t.history[i];
        *o = (struct lin_operation){.key = roll(&t, keys), .call = roll(&t, span)};
        o->ret = roll(&t, 4) == 0 ? LIN_NEVER : o->call + roll(&t, 6);
        /* -1, too: a counter that goes back to sums it had. */
        o->input[0] = t.model == &lin_counter ? roll(&t, 4) - 1 : roll(&t, 2);
        o->input[1] = roll(&t, 3);
    }
    give_outputs(&t);
    for (uint64_t changes = roll(&t, 4); changes > 0; changes--) {
        struct lin_operation *o = &t.history[roll(&t, t.count)];
        uint64_t *output = &t.history[roll(&t, t.count)].output;
        uint64_t kind = roll(&t, 4);
        if (kind == 0) *output = roll(&t, 4);
        if (kind == 1) *output = o->output;
        if (kind == 2) o->call = o->ret == LIN_NEVER ? roll(&t, 12) : o->ret;
        if (kind == 3 && o->ret != LIN_NEVER) o->ret = o->call;
    }
    return t;
}

/* Both verdicts are frequent, for each model. */
Test(linearizable_brute, agrees_with_all_orders)
{
    const char *one = getenv("SEED");
    const uint64_t first = one != NULL ? program_seed("SEED", one) : 1;
    const uint64_t last = one != NULL ? first : SEEDS;
    uint32_t counts[3][2] = {{0}};

    for (uint64_t seed = first; seed <= last; seed++) {
        struct tiny t = make(seed);
        struct lin_report why;
        bool is_right = brute_force(&t);
        enum lin_verdict verdict = lin_check(t.model, t.history, t.count, 1000000, &why);
        if (verdict == LIN_WRONG && is_right) lin_explain(stderr, t.history, t.count, &why);
        cr_assert_eq(verdict, is_right ? LIN_OK : LIN_WRONG, "SEED=%llu: verdict %d",
                     (unsigned long long)seed, verdict);
        counts[seed % 3][is_right]++;
    }
    for (uint32_t i = 0; i < 3 && one == NULL; i++) {
        cr_assert_gt(counts[i][0], SEEDS / 3 / 8);
        cr_assert_gt(counts[i][1], SEEDS / 3 / 8);
    }
}
