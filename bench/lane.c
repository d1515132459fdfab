/**
 * bench_lane: the raw lanes under everything else, one item at a time and batched.
 */
#include "harness.h"
#include "program.h"

#include <stdio.h>
#include <string.h>

enum { RUNS = 5 };

int main(int argc, char **argv)
{
    const bool is_json = argc > 1 && strcmp(argv[1], "--json") == 0;
    struct calibration c;

    program_begin("bench_lane");
    if (argc > 2 || (argc == 2 && !is_json)) {
        fprintf(stderr, "bench_lane: accepted is --json\n");
        return 2;
    }
    for (int run = 0; run < RUNS; run++) {
        if (!calibrate(&c)) {
            fprintf(stderr, "bench_lane: no second thread, or no memory\n");
            return 1;
        }
        struct row row = {
            .benchmark = "lane",
            .row = "batched-one-direction",
            .per_second = c.lane_messages_per_second,
            .per_second_name = "messages_per_second",
            .calibration = c,
            .peak_rss_bytes = process_peak_rss_bytes(),
        };
        row_print(&row, is_json);
        row.row = "round-trip";
        row.per_second = 1e9 / c.lane_round_trip_ns;
        row.per_second_name = "round_trips_per_second";
        row_print(&row, is_json);
    }
    return program_end("bench_lane", 0);
}
