/**
 * What command-line programs share: numbers in their arguments, and an output that may fail.
 */
#ifndef VSR_PROGRAM_H
#define VSR_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Reads a whole number, decimal or hexadecimal (0x...), and nothing else.
 *
 * Returns: false, *value unchanged, when the text is none from min to max.
 */
bool program_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/** Reads the seed that `option` is set to. Ends the program (2), after saying why, at no number. */
uint64_t program_seed(const char *option, const char *text);

/**
 * Ends the program (1), after saying why, when its standard output is closed: the next file opened
 * would take its place.
 */
void program_begin(const char *name);

/** Ends the program (1), after saying why, when standard output has not taken what was printed. */
void program_flush(const char *name);

/** Likewise; else gives status back. */
int program_end(const char *name, int status);

#endif
