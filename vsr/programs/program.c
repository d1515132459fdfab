/**
 * See program.h.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool program_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    const bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = is_hex ? text + 2 : text;
    char *end;

    /* strtoull takes blanks, signs and a second "0x" as well. */
    if (strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits) ||
        digits[0] == '\0')
        return false;
    errno = 0;
    const unsigned long long number = strtoull(digits, &end, is_hex ? 16 : 10);
    if (errno != 0 || number < min || number > max) return false;
    *value = number;
    return true;
}

uint64_t program_seed(const char *option, const char *text)
{
    uint64_t seed;

    if (program_number(text, 0, UINT64_MAX, &seed)) return seed;
    fprintf(stderr, "%s is \"%s\"; accepted is a whole number, decimal or 0x...\n", option, text);
    exit(2);
}

static _Noreturn void fail(const char *name, int error)
{
    fprintf(stderr, "%s: standard output: %s\n", name, strerror(error));
    exit(1);
}

void program_begin(const char *name)
{
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0) fail(name, errno);
}

void program_flush(const char *name)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) fail(name, errno != 0 ? errno : EIO);
}

int program_end(const char *name, int status)
{
    program_flush(name);
    return status;
}
