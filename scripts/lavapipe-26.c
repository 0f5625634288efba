// Functions of C libraries newer than 2.36 that Debian sid's libraries need, in terms of older ones; scripts/lavapipe-26.sh builds it.
//
// Programs built against 2.38 or later use the parsers of C23, which also read binary numbers, and an fmod that sets no errno; those
// built against 2.42 use terminal speeds as numbers. None of this matters to a driver.
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <wchar.h>

// The function older_NAME under the name and version that the libraries request.
#define AS(name, version) __asm__(".symver older_" #name "," #name "@GLIBC_" version)

#define PARSER(name, type, character) \
    type older___isoc23_##name(const character *text, character **end, int base) { return name(text, end, base); } \
    AS(__isoc23_##name, "2.38");
PARSER(strtol, long, char)
PARSER(strtoul, unsigned long, char)
PARSER(strtoll, long long, char)
PARSER(strtoull, unsigned long long, char)
PARSER(strtoimax, intmax_t, char)
PARSER(strtoumax, uintmax_t, char)
PARSER(wcstol, long, wchar_t)
PARSER(wcstoul, unsigned long, wchar_t)

#define SCANNER(name, type) \
    int older___isoc23_##name(type from, const char *format, ...) { \
        va_list to; \
        va_start(to, format); \
        int count = v##name(from, format, to); \
        va_end(to); \
        return count; \
    } \
    AS(__isoc23_##name, "2.38");
SCANNER(sscanf, const char *)
SCANNER(fscanf, FILE *)

int older___isoc23_scanf(const char *format, ...) {
    va_list to;
    va_start(to, format);
    int count = vscanf(format, to);
    va_end(to);
    return count;
}
AS(__isoc23_scanf, "2.38");

double older_fmod(double x, double y) { return fmod(x, y); }
AS(fmod, "2.38");
float older_fmodf(float x, float y) { return fmodf(x, y); }
AS(fmodf, "2.38");

speed_t older_cfgetispeed(const struct termios *terminal) { return cfgetispeed(terminal); }
AS(cfgetispeed, "2.42");
speed_t older_cfgetospeed(const struct termios *terminal) { return cfgetospeed(terminal); }
AS(cfgetospeed, "2.42");
int older_cfsetispeed(struct termios *terminal, speed_t speed) { return cfsetispeed(terminal, speed); }
AS(cfsetispeed, "2.42");
int older_cfsetospeed(struct termios *terminal, speed_t speed) { return cfsetospeed(terminal, speed); }
AS(cfsetospeed, "2.42");
