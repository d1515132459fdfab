/**
 * See harness.h.
 */
#include "harness.h"

#include "lane.h"
#include "program.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Histogram. */

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->total += from->total;
    if (from->max > into->max) into->max = from->max;
}

/** The middle of a bucket's values. */
static uint64_t bucket_value(uint32_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS) return bucket;
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t low = (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
    return low + (1ull << shift) / 2;
}

uint64_t histogram_percentile(const struct histogram *h, double fraction)
{
    uint64_t wanted = (uint64_t)(fraction * (double)h->total + 0.5);
    uint64_t seen = 0;

    if (wanted == 0) wanted = 1;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= wanted) return bucket_value(i) < h->max ? bucket_value(i) : h->max;
    }
    return h->max;
}

/* Calibration. */

enum {
    ROUND_TRIPS = 20000,
    ROUND_TRIP_SETS = 9,
    BATCHED_ITEMS = 4000000,
    SPINS_PER_YIELD = 1 << 14
};

struct calibrator {
    struct act_lane *there;
    struct act_lane *back;
    int cpu;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pin_to(int cpu)
{
    cpu_set_t set;

    if (cpu < 0) return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/** Waits for the next items; where the other end has no core to run on, by giving up this one. */
static struct act_lane_items await(struct act_lane *lane)
{
    for (uint32_t i = 1;; i++) {
        struct act_lane_items got = act_lane_take(lane);
        if (got.count > 0) return got;
        if (i % SPINS_PER_YIELD == 0) sched_yield();
    }
}

/** The other end: answers every single item, then swallows the batched ones. */
static void *answer(void *argument)
{
    struct calibrator *c = argument;
    uint64_t items = 0;

    pin_to(c->cpu);
    while (items < (uint64_t)ROUND_TRIPS * ROUND_TRIP_SETS) {
        struct act_lane_items got = await(c->there);
        for (uint32_t i = 0; i < got.count; i++, items++) {
            act_lane_append(c->back, got.list[i]);
            act_lane_publish(c->back);
        }
    }
    for (items = 0; items < BATCHED_ITEMS;)
        items += await(c->there).count;
    act_lane_append(c->back, 64);
    act_lane_publish(c->back);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct calibrator *c, struct calibration *out)
{
    double sets[ROUND_TRIP_SETS];

    for (uint32_t set = 0; set < ROUND_TRIP_SETS; set++) {
        uint64_t start = now_ns();
        for (uint32_t i = 0; i < ROUND_TRIPS; i++) {
            act_lane_append(c->there, 64);
            act_lane_publish(c->there);
            await(c->back);
        }
        sets[set] = (double)(now_ns() - start) / ROUND_TRIPS;
    }
    qsort(sets, ROUND_TRIP_SETS, sizeof sets[0], compare);
    out->lane_round_trip_ns = sets[ROUND_TRIP_SETS / 2];

    uint64_t start = now_ns();
    for (uint32_t i = 0; i < BATCHED_ITEMS;)
        i += act_lane_append(c->there, 64);
    while (!act_lane_publish(c->there)) {
    }
    await(c->back);
    out->lane_messages_per_second = BATCHED_ITEMS * 1e9 / (double)(now_ns() - start);
}

bool calibrate(struct calibration *out)
{
    struct calibrator c = {.there = act_lane_create(), .back = act_lane_create(), .cpu = -1};
    cpu_set_t before;
    pthread_t thread;
    int first = -1;
    bool is_done = false;

    *out = (struct calibration){0};
    sched_getaffinity(0, sizeof before, &before);
    for (int cpu = 0; cpu < CPU_SETSIZE && c.cpu < 0; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &before)) continue;
        if (first < 0)
            first = cpu;
        else
            c.cpu = cpu;
    }
    if (c.there != NULL && c.back != NULL && pthread_create(&thread, NULL, answer, &c) == 0) {
        pin_to(first);
        measure(&c, out);
        pthread_join(thread, NULL);
        pthread_setaffinity_np(pthread_self(), sizeof before, &before);
        is_done = true;
    }
    act_lane_destroy(c.there);
    act_lane_destroy(c.back);
    return is_done;
}

/* The process. */

double process_cpu_seconds(void)
{
    struct timespec spent;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
}

void process_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL) return; /* Then the peak is that of the whole process so far. */
    fputs("5", file);
    fclose(file);
}

uint64_t process_peak_rss_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kilobytes = 0;

    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %llu", &kilobytes) == 1) break;
    fclose(file);
    return kilobytes * 1024;
}

uint32_t process_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return (uint32_t)CPU_COUNT(&set);
}

/* Rows. */

void row_add_number(struct row *row, const char *name, double value)
{
    if (row->field_count < ROW_FIELDS_MAX)
        row->fields[row->field_count++] = (struct row_field){.name = name, .number = value};
}

void row_add_whole(struct row *row, const char *name, uint64_t value)
{
    if (row->field_count < ROW_FIELDS_MAX)
        row->fields[row->field_count++] =
            (struct row_field){.name = name, .is_whole = true, .whole = value};
}

void row_add_measured(struct row *row, const char *name, double value)
{
    if (value > 0) row_add_number(row, name, value);
}

void row_add_text(struct row *row, const char *name, const char *value)
{
    if (row->field_count < ROW_FIELDS_MAX)
        row->fields[row->field_count++] = (struct row_field){.name = name, .text = value};
}

static void print_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static const struct {
    const char *name;
    double fraction;
} percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1.0}};

enum { PERCENTILES = sizeof percentiles / sizeof percentiles[0] };

static uint64_t percentile(const struct histogram *h, uint32_t which)
{
    return which == PERCENTILES - 1 ? h->max : histogram_percentile(h, percentiles[which].fraction);
}

static void print_json(const struct row *row)
{
    printf("{\"benchmark\": ");
    print_json_string(row->benchmark);
    printf(", \"row\": ");
    print_json_string(row->row);
    for (uint32_t i = 0; i < row->field_count; i++) {
        printf(", ");
        print_json_string(row->fields[i].name);
        printf(": ");
        if (row->fields[i].text != NULL)
            print_json_string(row->fields[i].text);
        else if (row->fields[i].is_whole)
            printf("%llu", (unsigned long long)row->fields[i].whole);
        else
            printf("%.10g", row->fields[i].number);
    }
    if (row->per_second > 0) printf(", \"%s\": %.0f", row->per_second_name, row->per_second);
    if (row->latency != NULL && row->latency->total > 0) {
        printf(", \"latency_ns\": {");
        for (uint32_t i = 0; i < PERCENTILES; i++)
            printf("%s\"%s\": %llu", i > 0 ? ", " : "", percentiles[i].name,
                   (unsigned long long)percentile(row->latency, i));
        printf("}");
    }
    printf(", \"lane_round_trip_ns\": %.1f, \"lane_messages_per_second\": %.0f",
           row->calibration.lane_round_trip_ns, row->calibration.lane_messages_per_second);
    if (row->cpu_seconds_per_million > 0)
        printf(", \"cpu_seconds_per_million_%s\": %.6f",
               strcmp(row->per_second_name, "commits_per_second") == 0 ? "commits" : "operations",
               row->cpu_seconds_per_million);
    if (row->peak_rss_bytes > 0)
        printf(", \"peak_rss_bytes\": %llu", (unsigned long long)row->peak_rss_bytes);
    if (row->has_verified) printf(", \"verified\": %s", row->is_verified ? "true" : "false");
    printf("}\n");
}

static void print_text(const struct row *row)
{
    printf("%-36s", row->row);
    if (row->per_second > 0)
        printf(" %9.3f M/s  1/%-7.1f", row->per_second / 1e6,
               row->calibration.lane_messages_per_second / row->per_second);
    if (row->latency != NULL && row->latency->total > 0) {
        for (uint32_t i = 0; i < PERCENTILES; i++)
            printf(" %s %.2f", percentiles[i].name, (double)percentile(row->latency, i) * 1e-3);
        printf(" us  %.1f rt",
               (double)percentile(row->latency, 0) / row->calibration.lane_round_trip_ns);
    }
    if (row->peak_rss_bytes > 0) printf("  %.0f MB", (double)row->peak_rss_bytes / 1e6);
    printf("%s\n", !row->has_verified ? "" : row->is_verified ? "  verified" : "  NOT VERIFIED");
}

void row_print(const struct row *row, bool is_json)
{
    progress(NULL);
    if (is_json)
        print_json(row);
    else
        print_text(row);
    program_flush("bench"); /* a full disk ends it before the next row is measured */
}

void progress(const char *format, ...)
{
    va_list arguments;

    if (!isatty(STDERR_FILENO)) return;
    fputs("\r\033[K", stderr);
    if (format == NULL) return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}
