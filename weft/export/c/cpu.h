/* What this CPU has, asked of the CPU itself and of what the system saves of it, so that code for a better one is never entered. */
#ifndef WEFT_CPU_H
#define WEFT_CPU_H

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned cpu_register(unsigned leaf, int index) {
    unsigned r[4] = {0, 0, 0, 0};
    if (!__get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]))
        return 0;
    return r[index];
}

/* Which registers the system saves: bits of XCR0. */
static unsigned cpu_saved(void) {
    unsigned low, high;
    if (!(cpu_register(1, 2) >> 27 & 1)) /* OSXSAVE */
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#endif

/* Whether all of a set of features (bits as cpu_features.h counts them) are there. */
static int cpu_has(unsigned needs) {
    unsigned found = 0;
#if defined(__x86_64__)
    unsigned saved = cpu_saved();
#define WEFT_FEATURE(number, leaf, index, bit, saves) \
    found |= (cpu_register(leaf, index) >> bit & 1) && (saved & saves) == saves ? 1u << number : 0;
#include "cpu_features.h"
#undef WEFT_FEATURE
#endif
    return (needs & ~found) == 0;
}

#endif
