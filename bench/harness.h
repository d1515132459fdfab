/**
 * What the benchmarks share: histogram, calibration, process figures, reports.
 */
#ifndef VSR_BENCH_HARNESS_H
#define VSR_BENCH_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

/* Histogram: log-linear (after Tene's HdrHistogram), 64 steps per power of two: 1.6 % at worst. */

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = 64 * 40 };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t max;
};

static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS) return (uint32_t)value;
    uint32_t shift = 57u - (uint32_t)__builtin_clzll(value); /* leaves 6 bits and the leading one */
    uint32_t bucket = (shift + 1) * HISTOGRAM_STEPS + (uint32_t)((value >> shift) & 63);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->counts[histogram_bucket(value)]++;
    h->total++;
    if (value > h->max) h->max = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from);
/** The value below or at which `fraction` (0..1) of the values lie; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, double fraction);

/* Calibration: what this machine's cores can do right now, with nothing but lanes. */

struct calibration {
    double lane_round_trip_ns;       /* median of rounds: one item there and back */
    double lane_messages_per_second; /* batched, one direction */
};

/** Runs two threads on the first two CPUs allowed, for about 0.3 s. Returns false without memory.
 */
bool calibrate(struct calibration *out);

/* The process. */

double process_cpu_seconds(void);
void process_reset_peak(void);
uint64_t process_peak_rss_bytes(void);
uint32_t process_cpus(void);

/* A measured row. What was not measured is not printed: a number left at 0, no latencies. */

enum { ROW_FIELDS_MAX = 48 };

struct row {
    const char *benchmark; /* "cluster", "actor", ... */
    const char *row;       /* "throughput", ... */
    struct row_field {
        const char *name;
        const char *text; /* or NULL: */
        double number;
        bool is_whole; /* then instead: */
        uint64_t whole;
    } fields[ROW_FIELDS_MAX]; /* the options in force, or figures of its own */
    uint32_t field_count;
    double per_second; /* commits, messages or steps */
    const char *per_second_name;
    const struct histogram *latency; /* NULL or empty = none */
    struct calibration calibration;
    double cpu_seconds_per_million;
    uint64_t peak_rss_bytes;
    bool has_verified; /* the row says whether */
    bool is_verified;
};

void row_add_number(struct row *row, const char *name, double value);
/** A number of which every digit counts. */
void row_add_whole(struct row *row, const char *name, uint64_t value);
/** Likewise a figure that may not have been measured: 0 = not, and it is left out. */
void row_add_measured(struct row *row, const char *name, double value);
void row_add_text(struct row *row, const char *name, const char *value);
/** Prints a row: a JSON object on a line, or aligned text. */
void row_print(const struct row *row, bool is_json);

/** Shows a progress line when stderr is a terminal; NULL wipes it. */
void progress(const char *format, ...);

#endif
