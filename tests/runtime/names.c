/**
 * The names alone.
 */
#include "names.h"

#include "fixture.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

LEAK_CHECKED_SUITE(names);

/* names.h: binds a name, once; finds it; unbinds by the slot. */
Test(names, bind_find_unbind)
{
    const size_t before = act_memory_held();
    struct act_names *n = act_names_create(10);

    cr_assert_eq(act_names_find(n, "one"), ACT_ID_NONE);
    cr_assert_eq(act_names_bind(n, "one", 101, 1), 0);
    cr_assert_eq(act_names_bind(n, "two", 102, 2), 0);
    cr_assert_eq(act_names_bind(n, "one", 103, 3), -EEXIST);
    cr_assert_eq(act_names_find(n, "one"), 101);
    cr_assert_eq(act_names_find(n, "two"), 102);
    cr_assert_eq(act_names_find(n, "on"), ACT_ID_NONE);
    cr_assert_eq(act_names_find(n, "ones"), ACT_ID_NONE);
    act_names_unbind(n, 1);
    cr_assert_eq(act_names_find(n, "one"), ACT_ID_NONE);
    cr_assert_eq(act_names_find(n, "two"), 102);
    cr_assert_eq(act_names_bind(n, "one", 104, 1), 0);
    cr_assert_eq(act_names_find(n, "one"), 104);
    act_names_destroy(n);
    cr_assert_eq(act_memory_held(), before, "names that are still bound end too");
}

/* names.h: -ENOMEM for the name and for the first table; a larger table is not needed. */
Test(names, without_memory)
{
    struct act_names *n = act_names_create(1000);
    char name[16];

    for (unsigned long nth = 1; nth <= 2; nth++) {
        act_memory_fail_at(nth);
        cr_assert_eq(act_names_bind(n, "one", 101, 1), -ENOMEM);
        cr_assert_eq(act_names_find(n, "one"), ACT_ID_NONE);
    }
    act_memory_fail_at(0);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        act_memory_fail_at(2); /* after the name's own */
        int error = act_names_bind(n, name, i + 1, i);
        act_memory_fail_at(0);
        if (error != 0) error = act_names_bind(n, name, i + 1, i); /* its shard's first */
        cr_assert_eq(error, 0);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        cr_assert_eq(act_names_find(n, name), i + 1);
    }
    act_names_destroy(n);
    act_memory_fail_at(1);
    cr_assert_null(act_names_create(10));
    act_memory_fail_at(2);
    cr_assert_null(act_names_create(10));
    act_memory_fail_at(0);
    cr_assert_eq(act_memory_held(), 0);
}

/* More names than tables have at first, of every length; some end, the others stay. */
Test(names, many)
{
    enum { NAMES = 3000 };
    struct act_names *n = act_names_create(NAMES);
    char name[ACT_NAME_MAX + 1];

    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = round == 0 ? 0 : 1; i < NAMES; i += round == 0 ? 1 : 2) {
            snprintf(name, sizeof name, "%.*u", (int)(4 + i % (ACT_NAME_MAX - 3)), i);
            if (round == 1)
                act_names_unbind(n, i);
            else
                cr_assert_eq(act_names_bind(n, name, i + 1, i), 0);
        }
        for (uint32_t i = 0; i < NAMES; i++) {
            snprintf(name, sizeof name, "%.*u", (int)(4 + i % (ACT_NAME_MAX - 3)), i);
            cr_assert_eq(act_names_find(n, name), round == 1 && i % 2 == 1 ? 0 : i + 1);
        }
    }
    act_names_destroy(n);
}

/** Nodes looked at while so many names are bound, found and unbound. */
static uint64_t looks_for(uint32_t count)
{
    struct act_names *n = act_names_create(count);
    char name[32];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "actor-%u", i);
        cr_assert_eq(act_names_bind(n, name, i + 1, i), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "actor-%u", i);
        cr_assert_eq(act_names_find(n, name), i + 1);
    }
    for (uint32_t i = 0; i < count; i++)
        act_names_unbind(n, i);
    const uint64_t looks = act_names_looks(n);
    act_names_destroy(n);
    return looks;
}

/* Ten thousand named actors that stop cost ten times what a thousand cost, and little. */
Test(names, work_grows_with_their_number_alone)
{
    const uint64_t once = looks_for(10000);
    const uint64_t twice = looks_for(20000);

    cr_assert_leq(once, 3 * 10000, "%llu", (unsigned long long)once);
    cr_assert_leq(twice, 3 * once, "%llu", (unsigned long long)twice);
}
