/* The accelerator on a board: its registers, and DRAM that the CPU sees too. */
#ifndef WEFT_BOARD_H
#define WEFT_BOARD_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the program knows of its board. Memory must be coherent with the accelerator, or mapped without caches. */
typedef struct {
    volatile uint32_t *registers; /* as they are mapped; or NULL, and these two functions, which return 0 where they can: */
    int (*write_register)(void *context, uint32_t offset, uint32_t value);
    int (*read_register)(void *context, uint32_t offset, uint32_t *value);
    void (*wait)(void *context); /* between two looks at whether a launch has ended, as for the interrupt; NULL: it looks on */
    void *context;               /* handed to these functions */
    uint8_t *dram;               /* where the CPU sees the memory */
    uint64_t dram_address;       /* where the accelerator sees it: a multiple of 4096, all of it below 2**32 */
    uint64_t dram_size;          /* bytes */
    uint32_t watchdog;           /* cycles without anything moving before a launch fails; 0: it waits for ever */
} weft_board;

/* A device on a board. Close it by device->close(device->context). */
int weft_board_open(weft_device *device, const weft_board *board);

#ifdef __cplusplus
}
#endif
#endif
