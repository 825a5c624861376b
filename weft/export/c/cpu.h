/* What this CPU has, asked of the CPU itself, so that code for a better one is never entered. */
#ifndef WEFT_CPU_H
#define WEFT_CPU_H

/* Whether all of a set of features (bits of cpu_features.h) are there. */
static int cpu_has(unsigned needs) {
    unsigned found = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#define WEFT_FEATURE(bit, name) found |= __builtin_cpu_supports(name) ? 1u << bit : 0;
#include "cpu_features.h"
#undef WEFT_FEATURE
#endif
    return (needs & ~found) == 0;
}

#endif
