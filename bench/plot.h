/**
 * Figures as a picture: latency percentiles and growth curves, drawn by gnuplot.
 */
#ifndef VSR_BENCH_PLOT_H
#define VSR_BENCH_PLOT_H

#include "harness.h"

enum { PLOT_CURVES_MAX = 8, PLOT_POINTS_MAX = 16, PLOT_LATENCIES_MAX = 8, PLOT_PERCENTILES = 64 };

struct plot {
    struct plot_curve {
        const char *name;
        double x[PLOT_POINTS_MAX];
        double per_second[PLOT_POINTS_MAX];
        uint64_t p50_ns[PLOT_POINTS_MAX]; /* 0 = not measured */
        uint32_t count;
    } curves[PLOT_CURVES_MAX];
    uint32_t curve_count;
    struct plot_latency {
        char name[64];
        uint64_t ns[PLOT_PERCENTILES]; /* at 1 - 10^(-i/10) */
    } latencies[PLOT_LATENCIES_MAX];
    uint32_t latency_count;
};

void plot_add_point(struct plot *plot, const char *curve, double x, double per_second,
                    const struct histogram *latency);
void plot_add_latency(struct plot *plot, const char *name, const struct histogram *latency);
/**
 * Whether a picture can be drawn there: the file can be written, gnuplot is installed. Changes
 * nothing.
 *
 * Returns: NULL, or why not.
 */
const char *plot_check(const char *path);
/** Draws into an SVG file. Returns false and says why on stderr. */
bool plot_draw(const struct plot *plot, const char *path);

#endif
