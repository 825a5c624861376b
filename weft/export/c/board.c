/* A weft_device on a board: what weft/sim/rtl/device.py does on the simulated hardware. registers.h is written from the table of
   registers by weft/export/board.py. */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registers.h"

typedef struct {
    weft_board board;
    char message[160];
} state;

static int fail(state *s, int status, const char *what, uint64_t number) {
    snprintf(s->message, sizeof s->message, what, (unsigned long long)number);
    return status;
}

static int write_register(state *s, uint32_t offset, uint32_t value) {
    if (s->board.registers) {
        s->board.registers[offset / 4] = value;
        return WEFT_OK;
    }
    if (s->board.write_register(s->board.context, offset, value))
        return fail(s, WEFT_FAILED, "register 0x%llx cannot be written", offset);
    return WEFT_OK;
}

static int read_register(state *s, uint32_t offset, uint32_t *value) {
    if (s->board.registers) {
        *value = s->board.registers[offset / 4];
        return WEFT_OK;
    }
    if (s->board.read_register(s->board.context, offset, value))
        return fail(s, WEFT_FAILED, "register 0x%llx cannot be read", offset);
    return WEFT_OK;
}

static int lies_within(state *s, uint64_t address, uint64_t size) {
    return address <= s->board.dram_size && size <= s->board.dram_size - address;
}

static int dram_write(void *context, uint64_t address, const void *data, uint64_t size) {
    state *s = context;
    if (!lies_within(s, address, size))
        return fail(s, WEFT_OUT_OF_DRAM, "an access must lie within DRAM, but is at 0x%llx", address);
    memcpy(s->board.dram + address, data, size);
    return WEFT_OK;
}

static int dram_read(void *context, uint64_t address, void *data, uint64_t size) {
    state *s = context;
    if (!lies_within(s, address, size))
        return fail(s, WEFT_OUT_OF_DRAM, "an access must lie within DRAM, but is at 0x%llx", address);
    memcpy(data, s->board.dram + address, size);
    return WEFT_OK;
}

static int start(state *s, uint64_t insn_address, uint32_t insn_count, const weft_bases *bases) {
    uint64_t memory = s->board.dram_address;
    const struct {
        uint32_t offset;
        uint64_t value;
    } written[] = {
        {REGISTER_CONTROL, 0},
        {REGISTER_WATCHDOG, s->board.watchdog},
        {REGISTER_INSN_COUNT, insn_count},
        {REGISTER_INSN_ADDRESS, memory + insn_address},
        {REGISTER_UOP_BASE, memory + bases->uop},
        {REGISTER_INP_BASE, memory + bases->inp},
        {REGISTER_WGT_BASE, memory + bases->wgt},
        {REGISTER_ACC_BASE, memory + bases->acc},
        {REGISTER_OUT_BASE, memory + bases->out},
        {REGISTER_QNT_BASE, memory + bases->qnt},
        {REGISTER_LUT_BASE, memory + bases->lut},
        {REGISTER_CONTROL, CONTROL_LAUNCH},
    };
    __sync_synchronize(); /* what was written to DRAM is there before the launch */
    for (size_t k = 0; k < sizeof written / sizeof *written; k++)
        if (write_register(s, written[k].offset, (uint32_t)written[k].value))
            return WEFT_FAILED;
    return WEFT_OK;
}

static int launch(void *context, uint64_t insn_address, uint32_t insn_count, const weft_bases *bases) {
    state *s = context;
    uint32_t status;
    if (!lies_within(s, insn_address, (uint64_t)insn_count * 16))
        return fail(s, WEFT_OUT_OF_DRAM, "a stream must lie within DRAM, but is at 0x%llx", insn_address);
    if (start(s, insn_address, insn_count, bases))
        return WEFT_FAILED;
    for (;;) {
        if (s->board.wait)
            s->board.wait(s->board.context);
        if (read_register(s, REGISTER_STATUS, &status))
            return WEFT_FAILED;
        if (!(status & STATUS_BUSY))
            break;
    }
    __sync_synchronize();
    if (status & (STATUS_WATCHDOG | STATUS_BUS_ERROR | STATUS_ILLEGAL))
        return fail(s, WEFT_FAILED, "a launch failed, status 0x%llx: reset the accelerator", status);
    return WEFT_OK;
}

static const char *message(void *context) {
    return ((state *)context)->message;
}

int weft_board_open(weft_device *opened, const weft_board *board) {
    state *s = calloc(1, sizeof *s);
    if (!s)
        return WEFT_NO_MEMORY;
    s->board = *board;
    *opened = (weft_device){s, 0, board->dram_size, dram_write, dram_read, launch, message, free};
    int status = read_register(s, REGISTER_FINGERPRINT, &opened->fingerprint);
    if (!status && (board->dram_size > 1ull << 32 || board->dram_address > (1ull << 32) - board->dram_size))
        status = WEFT_OUT_OF_DRAM;
    if (status) {
        free(s);
        *opened = (weft_device){0};
    }
    return status;
}
