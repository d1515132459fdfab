/**
 * See plot.h.
 */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Of a row of panels, in points. */
enum { ROW_HEIGHT = 340, WIDTH = 1200 };

void plot_add_point(struct plot *plot, const char *curve, double x, double per_second,
                    const struct histogram *latency)
{
    uint32_t i = 0;

    while (i < plot->curve_count && strcmp(plot->curves[i].name, curve) != 0)
        i++;
    if (i == PLOT_CURVES_MAX) return;
    if (i == plot->curve_count) plot->curves[plot->curve_count++].name = curve;
    struct plot_curve *c = &plot->curves[i];
    if (c->count == PLOT_POINTS_MAX) return;
    c->x[c->count] = x;
    c->p50_ns[c->count] = latency->total > 0 ? histogram_percentile(latency, 0.5) : 0;
    c->per_second[c->count++] = per_second;
}

void plot_add_latency(struct plot *plot, const char *name, const struct histogram *latency)
{
    if (plot->latency_count == PLOT_LATENCIES_MAX || latency->total == 0) return;
    struct plot_latency *l = &plot->latencies[plot->latency_count++];
    snprintf(l->name, sizeof l->name, "%s", name);
    for (uint32_t i = 0; i < PLOT_PERCENTILES; i++)
        l->ns[i] = histogram_percentile(latency, 1 - pow(10, -(double)i / 10));
}

static void write_latencies(FILE *out, const struct plot *plot)
{
    fprintf(out, "set title 'Latency'\nset logscale xy\nset xlabel 'percentile'\n"
                 "set ylabel 'us'\nset xtics ('0' 1, '90' 10, '99' 100, '99.9' 1000, "
                 "'99.99' 10000, '99.999' 100000)\nset xrange [1:100000]\nplot ");
    for (uint32_t i = 0; i < plot->latency_count; i++)
        fprintf(out, "%s'-' using 1:2 with lines lw 2 title '%s'", i > 0 ? ", " : "",
                plot->latencies[i].name);
    fprintf(out, "\n");
    for (uint32_t i = 0; i < plot->latency_count; i++) {
        for (uint32_t k = 0; k < PLOT_PERCENTILES; k++)
            fprintf(out, "%g %g\n", pow(10, (double)k / 10),
                    (double)plot->latencies[i].ns[k] * 1e-3);
        fprintf(out, "e\n");
    }
    fprintf(out, "unset logscale\nset xtics auto\nset autoscale x\n");
}

/** Numbers that lie far apart want a logarithmic axis. */
static bool is_wide(double first, double last)
{
    return last > 50 * first || first > 50 * last;
}

/** A panel of a growth curve: commits on the left, the median latency on the right. */
static void write_panel(FILE *out, const struct plot_curve *c, bool is_latency)
{
    const uint32_t last = c->count - 1;
    const bool is_wide_y = is_latency && is_wide((double)c->p50_ns[0], (double)c->p50_ns[last]);

    fprintf(out, "set title '%s by %s'\nset xlabel '%s'\nset ylabel '%s'\nunset logscale\n",
            is_latency ? "Latency, p50," : "Commits", c->name, c->name,
            is_latency ? "us" : "M commits/s");
    if (is_wide(c->x[0], c->x[last])) fprintf(out, "set logscale x\n");
    fprintf(out, is_wide_y ? "set logscale y\nset yrange [*:*]\n" : "set yrange [0:*]\n");
    fprintf(out, "plot '-' using 1:2 with linespoints lw 2 notitle\n");
    for (uint32_t i = 0; i < c->count; i++) {
        if (is_latency && c->p50_ns[i] == 0) continue;
        fprintf(out, "%g %g\n", c->x[i],
                is_latency ? (double)c->p50_ns[i] * 1e-3 : c->per_second[i] * 1e-6);
    }
    fprintf(out, "e\n");
}

static bool has_p50(const struct plot_curve *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->p50_ns[i] != 0) return true;
    return false;
}

const char *plot_check(const char *path)
{
    if (strchr(path, '\'') != NULL) return "a name without a quote";
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
        unlink(path); /* the run may fail: then there is no picture */
    } else if (errno == EEXIST) {
        file = open(path, O_WRONLY | O_CLOEXEC);
    }
    if (file < 0) return strerror(errno);
    close(file);
    if (system("command -v gnuplot >/dev/null 2>&1") != 0)
        return "only with the package gnuplot-nox installed";
    return NULL;
}

static void write_plot(FILE *out, const struct plot *plot, const char *path, uint32_t rows)
{
    const double height = 1.0 / rows;
    uint32_t row = 0;

    /* Legends stand outside of the frame, where no curve goes. */
    fprintf(out,
            "set terminal svg size %d,%u dynamic background 'white'\nset output '%s'\n"
            "set grid\nset key outside right top Left reverse\nset multiplot\n",
            WIDTH, ROW_HEIGHT * rows, path);
    if (plot->latency_count > 0) {
        fprintf(out, "set origin 0,%g\nset size 1,%g\n", 1 - height * ++row, height);
        write_latencies(out, plot);
    }
    for (uint32_t i = 0; i < plot->curve_count; i++) {
        const struct plot_curve *c = &plot->curves[i];
        fprintf(out, "set origin 0,%g\nset size 0.5,%g\n", 1 - height * ++row, height);
        write_panel(out, c, false);
        if (!has_p50(c)) continue;
        fprintf(out, "set origin 0.5,%g\n", 1 - height * row);
        write_panel(out, c, true);
    }
    fprintf(out, "unset multiplot\n");
}

bool plot_draw(const struct plot *plot, const char *path)
{
    const uint32_t rows = plot->curve_count + (plot->latency_count > 0 ? 1 : 0);

    if (rows == 0) {
        fprintf(stderr, "bench: --plot %s: no row was measured\n", path);
        return false;
    }
    FILE *out = popen("gnuplot", "w");
    if (out == NULL) {
        fprintf(stderr, "bench: --plot: gnuplot does not start: %s\n", strerror(errno));
        return false;
    }
    write_plot(out, plot, path, rows);
    if (pclose(out) == 0) return true;
    fprintf(stderr, "bench: --plot %s: gnuplot failed\n", path);
    return false;
}
