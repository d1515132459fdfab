/**
 * See plot.h.
 */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void plot_add_point(struct plot *plot, const char *curve, double x, double per_second)
{
    uint32_t i = 0;

    while (i < plot->curve_count && strcmp(plot->curves[i].name, curve) != 0)
        i++;
    if (i == PLOT_CURVES_MAX) return;
    if (i == plot->curve_count) plot->curves[plot->curve_count++].name = curve;
    struct plot_curve *c = &plot->curves[i];
    if (c->count == PLOT_POINTS_MAX) return;
    c->x[c->count] = x;
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

static void write_curve(FILE *out, const struct plot_curve *c)
{
    fprintf(out,
            "set title 'Commits by %s'\nset xlabel '%s'\nset ylabel 'M commits/s'\n%s\n"
            "set yrange [0:*]\nplot '-' using 1:2 with linespoints lw 2 notitle\n",
            c->name, c->name,
            c->x[c->count - 1] > 50 * c->x[0] ? "set logscale x" : "unset logscale x");
    for (uint32_t i = 0; i < c->count; i++)
        fprintf(out, "%g %g\n", c->x[i], c->per_second[i] * 1e-6);
    fprintf(out, "e\n");
}

bool plot_draw(const struct plot *plot, const char *path)
{
    const uint32_t panels = plot->curve_count + (plot->latency_count > 0 ? 1 : 0);
    FILE *file = fopen(path, "w"); /* gnuplot's own message would not name the reason */

    if (file == NULL) {
        fprintf(stderr, "bench: --plot %s: %s\n", path, strerror(errno));
        return false;
    }
    fclose(file);
    if (strchr(path, '\'') != NULL || panels == 0) {
        fprintf(stderr, "bench: --plot %s: %s\n", path,
                panels == 0 ? "no row was measured" : "a name without a quote is needed");
        return false;
    }
    FILE *out = popen("gnuplot", "w");
    if (out == NULL) {
        fprintf(stderr, "bench: --plot: gnuplot does not start: %s\n", strerror(errno));
        return false;
    }
    fprintf(out,
            "set terminal svg size 900,%u dynamic background 'white'\nset output '%s'\n"
            "set grid\nset multiplot layout %u,1\n",
            320 * panels, path, panels);
    if (plot->latency_count > 0) write_latencies(out, plot);
    for (uint32_t i = 0; i < plot->curve_count; i++)
        write_curve(out, &plot->curves[i]);
    fprintf(out, "unset multiplot\n");
    if (pclose(out) == 0) return true;
    fprintf(stderr, "bench: --plot: gnuplot failed; is the package gnuplot-nox installed?\n");
    return false;
}
