/**
 * Tells whether a history of operations is linearizable.
 *
 * A history is what clients saw: when each operation was called, when its result came, and which.
 * It is linearizable if every operation can be given one instant between its call and its return
 * such that, executed one by one in that order, the operations bring just these results. Each key
 * is an object of its own, so its operations are judged alone: a history is linearizable if and
 * only if that of each of its objects is (Herlihy & Wing 1990).
 *
 * An operation without a result may have been executed at any time after its call, once or never.
 * Many of them on one key, some tens, make a wrong history dear to refuse, because any subset may
 * have been executed. Those with the same input count as one kind, of which only the number
 * executed matters. So inputs are best drawn from a few values; if these are far apart, such as 1,
 * 1000 and 1000000, executions that nobody knows of also explain fewer errors away. Updates without
 * a result that tells their order, such as writes, are dear where more than about ten run at once
 * on one key.
 *
 * Depends on the C library only. Single thread; calls share nothing.
 */
#ifndef SIM_LINEARIZABLE_H
#define SIM_LINEARIZABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Return time of an operation whose result nobody saw. */
#define LIN_NEVER UINT64_MAX

enum { LIN_RECENT_MAX = 8 };

/** What a client saw of one operation. */
struct lin_operation {
    uint64_t key;
    uint64_t call;     /* time; of the same clock as ret */
    uint64_t ret;      /* time, not before call; LIN_NEVER: the outcome is unknown */
    uint64_t input[2]; /* as the model reads it */
    uint64_t output;   /* not looked at if the outcome is unknown */
};

/** A sequential object. Its whole state is 64 bits. */
struct lin_model {
    uint64_t initial;
    /** Executes one operation: returns the new state and sets *output. Depends on nothing else. */
    uint64_t (*step)(uint64_t state, const uint64_t input[2], uint64_t *output);
    /** Whether the operation leaves every state as it is. May be NULL: the search takes longer. */
    bool (*is_read)(const uint64_t input[2]);
};

/** One counter of vsr/counter.h. Input: the amount, 0 (a read is an add of 0). Output: the sum. */
extern const struct lin_model lin_counter;

enum lin_register_kind { LIN_READ, LIN_WRITE };

/** A register, 0 at first. Input: kind, value. Output: the value of a read, 0 of a write. */
extern const struct lin_model lin_register;

enum lin_verdict {
    LIN_OK,       /* an order exists for every key */
    LIN_WRONG,    /* none exists for at least one key */
    LIN_UNDECIDED /* no key is known to be wrong, but for one the steps did not suffice */
};

/** Where the search got furthest. Operations are named by their place in the caller's array. */
struct lin_report {
    uint64_t steps;                /* of the model, all keys together */
    uint64_t key;                  /* the least that is wrong, or undecided; the rest is about it */
    size_t operations;             /* of the key */
    size_t placed;                 /* of them, in the order that got furthest */
    uint64_t state;                /* of the object after that order */
    size_t recent[LIN_RECENT_MAX]; /* the end of that order, oldest first */
    size_t recent_count;
    size_t stuck; /* LIN_WRONG: no order gets past the return of this one: the results seen up to
                     then contradict each other, or those of operations that were running */
};

/**
 * Looks for an order of the operations that explains all results.
 *
 * Two operations have an order in real time only if one returned before, not when, the other was
 * called: events of one instant count as concurrent.
 *
 * Ownership: borrows all; writes *why, which may be NULL. After LIN_OK only why->steps means
 *            anything. Aborts where memory runs out.
 * Shape:     operations in any order, fewer than 2^30. steps_max bounds the steps of each key; a
 *            step takes some ten nanoseconds and may keep some ten bytes until the key is done.
 * Source:    Wing & Gong 1993; Lowe, "Testing for linearizability", 2017.
 */
enum lin_verdict lin_check(const struct lin_model *model, const struct lin_operation *operations,
                           size_t count, uint64_t steps_max, struct lin_report *why);

/**
 * Prints, for a person, what lin_check reported of the same operations after LIN_WRONG or
 * LIN_UNDECIDED.
 */
void lin_explain(FILE *file, const struct lin_operation *operations, size_t count,
                 const struct lin_report *why);

#endif
