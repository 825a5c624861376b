/* The functional device: what a program computes, with no clock, as fast as this CPU can. */
#ifndef WEFT_FUNCTIONAL_H
#define WEFT_FUNCTIONAL_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A device of the config that this library was made for, with dram_size bytes of zeros. Close it by device->close(device->context). */
int weft_functional_open(weft_device *device, uint64_t dram_size);

#ifdef __cplusplus
}
#endif
#endif
