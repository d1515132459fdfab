/**
 * The linearizability checker on random histories: right ones, ones broken on purpose, and tiny
 * ones that a second checker, which tries all orders, judges too. SEED=n in the environment runs
 * one seed.
 */
#include "leak_check.h"
#include "linearizable.h"
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(linearizable_random);

enum { OPERATIONS_MAX = 100000, CLIENTS_MAX = 30, KEYS_MAX = 64, STEPS_MAX = 4000000 };

/* Amounts whose result a client saw stay below this one in sum, those of unknown outcome are
 * multiples of it: they cannot explain what a break did to the former. */
#define UNKNOWN_AMOUNT (UINT64_C(1) << 32)

struct shape {
    const struct lin_model *model;
    uint32_t operations;
    uint32_t clients;
    uint32_t keys;
    uint32_t unknown_percent;
    uint32_t read_percent;
};

/** An operation on its way. */
struct running {
    size_t index; /* in the history */
    bool is_running;
    bool is_executed;
};

struct world {
    struct shape shape;
    uint64_t random;
    uint64_t now; /* in steps of 4, which leaves room for operations in between */
    uint64_t states[KEYS_MAX];
    struct running clients[CLIENTS_MAX];
    size_t count;
    struct lin_operation history[OPERATIONS_MAX];
};

static struct world world;

static uint64_t roll(uint64_t *random, uint64_t sides)
{
    *random = *random * 6364136223846793005ull + 1442695040888963407ull;
    return (*random >> 33) % sides;
}

static void call(struct world *w, struct running *client)
{
    struct lin_operation *o = &w->history[w->count];
    bool is_read = roll(&w->random, 100) < w->shape.read_percent;
    bool is_unknown = roll(&w->random, 100) < w->shape.unknown_percent;

    *o = (struct lin_operation){.key = roll(&w->random, w->shape.keys), .call = w->now};
    if (is_unknown) o->ret = LIN_NEVER;
    if (w->shape.model == &lin_counter) {
        o->input[0] = is_read ? 0 : (1 + roll(&w->random, 4)) * (is_unknown ? UNKNOWN_AMOUNT : 1);
    } else {
        o->input[0] = is_read ? LIN_READ : LIN_WRITE;
        o->input[1] = is_read ? 0 : w->count + 1; /* no value twice */
    }
    *client = (struct running){.index = w->count++, .is_running = true};
}

/** Runs the operation of a client now, so that its place in the order lies between its ends. */
static void execute(struct world *w, struct running *client)
{
    struct lin_operation *o = &w->history[client->index];

    w->states[o->key] = w->shape.model->step(w->states[o->key], o->input, &o->output);
    client->is_executed = true;
}

/** One event of a random client. One with an unknown outcome stays long, then goes without. */
static void advance(struct world *w)
{
    struct running *client = &w->clients[roll(&w->random, w->shape.clients)];
    struct lin_operation *o = &w->history[client->index];

    w->now += 4;
    if (!client->is_running) {
        if (w->count < w->shape.operations) call(w, client);
    } else if (o->ret == LIN_NEVER) {
        if (roll(&w->random, 8) == 0) execute(w, client);
        client->is_running = !client->is_executed && roll(&w->random, 8) != 0;
    } else if (!client->is_executed) {
        execute(w, client);
    } else {
        o->ret = w->now;
        client->is_running = false;
    }
}

static bool is_anyone_running(const struct world *w)
{
    for (uint32_t i = 0; i < w->shape.clients; i++)
        if (w->clients[i].is_running) return true;
    return false;
}

/** Appends a read of each key that is called after all else returned. */
static void read_all(struct world *w)
{
    for (uint64_t key = 0; key < w->shape.keys; key++) {
        w->history[w->count++] = (struct lin_operation){
            .key = key, .call = w->now + 4, .ret = w->now + 5, .output = w->states[key]};
    }
}

/** Makes a linearizable history. The reads at its end come on top of shape->operations. */
static struct world *make(const struct shape *shape, uint64_t seed)
{
    struct world *w = &world;

    memset(w, 0, offsetof(struct world, history));
    w->shape = *shape;
    w->random = seed;
    while (w->count < shape->operations || is_anyone_running(w))
        advance(w);
    read_all(w);
    return w;
}

static enum lin_verdict check(const struct world *w, struct lin_report *why)
{
    return lin_check(w->shape.model, w->history, w->count, STEPS_MAX, why);
}

/**
 * Few clients on one key up to many on several; unknown outcomes in half of the histories. Writes
 * of a register have no results that order them: there, few clients, or the steps do not suffice.
 */
static struct shape random_shape(const struct lin_model *model, uint64_t seed)
{
    const uint32_t clients_max = model == &lin_counter ? CLIENTS_MAX : 6;
    uint64_t random = ~seed;

    return (struct shape){.model = model,
                          .operations = 20 + (uint32_t)roll(&random, 180),
                          .clients = 2 + (uint32_t)roll(&random, clients_max - 1),
                          .keys = 1 + (uint32_t)roll(&random, 4),
                          .unknown_percent = (uint32_t)roll(&random, 2) * 3,
                          .read_percent = 20 + (uint32_t)roll(&random, 40)};
}

/* ---- Ways to break a history. Each returns false where it finds nothing to break. ---- */

static bool is_known_update(const struct world *w, size_t i)
{
    const struct lin_operation *o = &w->history[i];

    return o->ret != LIN_NEVER && o->input[0] != (w->shape.model == &lin_counter ? 0 : LIN_READ);
}

/** Any operation for which `is_it` holds, or NULL. */
static struct lin_operation *pick(struct world *w, bool (*is_it)(const struct world *w, size_t i))
{
    size_t start = roll(&w->random, w->count);

    for (size_t i = 0; i < w->count; i++) {
        size_t at = (start + i) % w->count;
        if (is_it(w, at)) return &w->history[at];
    }
    return NULL;
}

/** Any known update on the key of `o`, called after it returned, or NULL. */
static struct lin_operation *pick_later(struct world *w, const struct lin_operation *o)
{
    size_t start = roll(&w->random, w->count);

    for (size_t i = 0; i < w->count; i++) {
        size_t at = (start + i) % w->count;
        struct lin_operation *later = &w->history[at];
        if (is_known_update(w, at) && later->key == o->key && later->call > o->ret) return later;
    }
    return NULL;
}

static void insert_read(struct world *w, uint64_t key, uint64_t call, uint64_t output)
{
    w->history[w->count++] =
        (struct lin_operation){.key = key, .call = call, .ret = call + 1, .output = output};
}

static bool is_known(const struct world *w, size_t i)
{
    return w->history[i].ret != LIN_NEVER;
}

static bool is_unknown_update(const struct world *w, size_t i)
{
    return w->history[i].ret == LIN_NEVER && w->history[i].input[0] != 0;
}

/** No operations add up to this result, none writes it. */
static bool break_value(struct world *w, uint64_t *key)
{
    struct lin_operation *o = pick(w, is_known);

    o->output ^= UINT64_C(1) << 20;
    *key = o->key;
    return true;
}

/** One of the key's adds moves the sums seen from `from` on, except its own, once more or less. */
static void shift_sums(struct world *w, const struct lin_operation *add, uint64_t from,
                       uint64_t amount)
{
    for (size_t i = 0; i < w->count; i++) {
        struct lin_operation *o = &w->history[i];
        if (o != add && o->key == add->key && is_known(w, i) && o->output >= from)
            o->output += amount;
    }
}

/** Executed again at a random later time. */
static bool break_execute_twice(struct world *w, uint64_t *key)
{
    const struct lin_operation *first = pick(w, is_known_update);
    if (first == NULL) return false;
    const struct lin_operation *from = pick_later(w, first);

    *key = first->key;
    shift_sums(w, first, from != NULL ? from->output : first->output, first->input[0]);
    return true;
}

/** A result, but no effect. */
static bool break_lose_update(struct world *w, uint64_t *key)
{
    const struct lin_operation *o = pick(w, is_known_update);
    if (o == NULL) return false;

    *key = o->key;
    shift_sums(w, o, o->output, -o->input[0]);
    return true;
}

/** One read more than all executions of unknown outcome explain. */
static bool break_unknown_twice(struct world *w, uint64_t *key)
{
    const struct lin_operation *twice = pick(w, is_unknown_update);
    if (twice == NULL) return false;
    uint64_t sum = twice->input[0];

    *key = twice->key;
    for (size_t i = 0; i < w->count; i++)
        if (w->history[i].key == *key) sum += w->history[i].input[0];
    insert_read(w, *key, w->now + 8, sum);
    return true;
}

/** A read after an add returned, of the sum before it. */
static bool break_stale_sum(struct world *w, uint64_t *key)
{
    const struct lin_operation *o = pick(w, is_known_update);
    if (o == NULL) return false;

    *key = o->key;
    insert_read(w, o->key, o->ret + 1, o->output - o->input[0]);
    return true;
}

/** A read before an update was called, of what it leads to. */
static bool break_read_future(struct world *w, uint64_t *key)
{
    const struct lin_operation *o = pick(w, is_known_update);
    if (o == NULL) return false;

    *key = o->key;
    insert_read(w, o->key, o->call - 2, w->shape.model == &lin_counter ? o->output : o->input[1]);
    return true;
}

/** Two adds, one after the other, with the results of the opposite order. */
static bool break_real_time(struct world *w, uint64_t *key)
{
    struct lin_operation *a = pick(w, is_known_update);
    struct lin_operation *b = a != NULL ? pick_later(w, a) : NULL;
    if (b == NULL) return false;
    uint64_t output = a->output;

    a->output = b->output;
    b->output = output;
    *key = a->key;
    return true;
}

/** Two adds with one result. */
static bool break_same_sum(struct world *w, uint64_t *key)
{
    struct lin_operation *a = pick(w, is_known_update);
    struct lin_operation *b = a != NULL ? pick_later(w, a) : NULL;
    if (b == NULL) return false;

    if (roll(&w->random, 2) == 0) {
        a->output = b->output;
    } else {
        b->output = a->output;
    }
    *key = a->key;
    return true;
}

/** A read after a write returned, of an earlier one's value. */
static bool break_stale_value(struct world *w, uint64_t *key)
{
    const struct lin_operation *a = pick(w, is_known_update);
    const struct lin_operation *b = a != NULL ? pick_later(w, a) : NULL;
    if (b == NULL) return false;

    *key = a->key;
    insert_read(w, a->key, b->ret + 1, a->input[1]);
    return true;
}

static bool is_known_read(const struct world *w, size_t i)
{
    return is_known(w, i) && !is_known_update(w, i);
}

/** A value read, then another, then the first again. */
static bool break_value_returns(struct world *w, uint64_t *key)
{
    const struct lin_operation *a = pick(w, is_known_read);

    for (size_t i = 0; i < w->count; i++) {
        const struct lin_operation *b = &w->history[i];
        bool differs = is_known_read(w, i) && b->key == a->key && b->output != a->output;
        if (!differs || b->call <= a->ret) continue;
        *key = a->key;
        insert_read(w, *key, b->ret + 1, a->output);
        return true;
    }
    return false;
}

struct breakage {
    const char *name;
    bool (*run)(struct world *w, uint64_t *key);
};

static const struct breakage counter_breakages[] = {
    {"impossible value", break_value},      {"executed twice", break_execute_twice},
    {"lost update", break_lose_update},     {"unknown executed twice", break_unknown_twice},
    {"stale sum", break_stale_sum},         {"sum from the future", break_read_future},
    {"against real time", break_real_time}, {"the same sum twice", break_same_sum},
};

static const struct breakage register_breakages[] = {
    {"impossible value", break_value},
    {"value from the future", break_read_future},
    {"stale value", break_stale_value},
    {"value returns", break_value_returns},
};

/* ---- The tests. ---- */

static void for_seeds(uint64_t seeds, void (*run)(uint64_t seed))
{
    const char *one = getenv("SEED");

    if (one != NULL) {
        run(program_seed("SEED", one));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run(seed);
}

/* linearizable.h, stuck: what was called up to that return contradicts itself; what returned before
 * it does not, if nothing is known of the rest. */
static void verify_report(const struct world *w, const struct lin_report *why, uint64_t seed)
{
    static struct lin_operation prefix[OPERATIONS_MAX];
    const uint64_t end = w->history[why->stuck].ret;
    size_t count = 0;

    for (size_t i = 0; i < w->count; i++)
        if (w->history[i].call <= end && w->history[i].key == why->key)
            prefix[count++] = w->history[i];
    cr_assert_eq(lin_check(w->shape.model, prefix, count, STEPS_MAX, NULL), LIN_WRONG,
                 "SEED=%llu: too short", (unsigned long long)seed);
    for (size_t i = 0; i < count; i++)
        if (prefix[i].ret >= end) prefix[i].ret = LIN_NEVER;
    cr_assert_neq(lin_check(w->shape.model, prefix, count, STEPS_MAX, NULL), LIN_WRONG,
                  "SEED=%llu: not the first", (unsigned long long)seed);
}

static void right_then_broken(const struct lin_model *model, const struct breakage *breakages,
                              size_t breakage_count, uint64_t seed)
{
    const struct shape shape = random_shape(model, seed);

    for (size_t i = 0; i < breakage_count; i++) {
        const char *name = breakages[i].name;
        struct world *w = make(&shape, seed);
        struct lin_report why;
        uint64_t key;
        if (i == 0) {
            enum lin_verdict verdict = check(w, NULL);
            cr_assert_eq(verdict, LIN_OK, "SEED=%llu: right, verdict %d", (unsigned long long)seed,
                         verdict);
        }
        if (!breakages[i].run(w, &key)) continue;
        enum lin_verdict verdict = check(w, &why);
        cr_assert_eq(verdict, LIN_WRONG, "SEED=%llu: %s, verdict %d", (unsigned long long)seed,
                     name, verdict);
        cr_assert_eq(why.key, key, "SEED=%llu: %s", (unsigned long long)seed, name);
        verify_report(w, &why, seed);
    }
}

static void counter_seed(uint64_t seed)
{
    right_then_broken(&lin_counter, counter_breakages,
                      sizeof counter_breakages / sizeof counter_breakages[0], seed);
}

Test(linearizable_random, counter_right_then_broken)
{
    for_seeds(1000, counter_seed);
}

static void register_seed(uint64_t seed)
{
    right_then_broken(&lin_register, register_breakages,
                      sizeof register_breakages / sizeof register_breakages[0], seed);
}

Test(linearizable_random, register_right_then_broken)
{
    for_seeds(1000, register_seed);
}

/* As many steps as a history of the simulator may cost, right or broken near its end. */
static void long_history(const struct shape *shape, uint64_t steps_per_operation)
{
    struct world *w = make(shape, 1);
    struct lin_report why;

    cr_assert_eq(check(w, &why), LIN_OK);
    cr_assert_lt(why.steps, w->count * steps_per_operation);
    struct lin_operation *last = &w->history[w->count - 1];
    last->output++;
    cr_assert_eq(check(w, &why), LIN_WRONG);
    cr_assert_eq(why.key, last->key);
    cr_assert_eq(why.stuck, w->count - 1);
    cr_assert_lt(why.steps, w->count * steps_per_operation * 10);
}

Test(linearizable_random, long_history_of_many_keys_is_cheap)
{
    long_history(&(struct shape){.model = &lin_counter,
                                 .operations = OPERATIONS_MAX - KEYS_MAX,
                                 .clients = CLIENTS_MAX,
                                 .keys = KEYS_MAX,
                                 .unknown_percent = 1,
                                 .read_percent = 30},
                 4);
}

Test(linearizable_random, long_history_of_one_key_is_cheap)
{
    long_history(&(struct shape){.model = &lin_counter,
                                 .operations = OPERATIONS_MAX - 1,
                                 .clients = CLIENTS_MAX,
                                 .keys = 1,
                                 .read_percent = 30},
                 40);
}
