/* The one interface of every machine that a network runs on, as C sees it: DRAM, and launches.

   A board's program fills this in with what writes its DRAM and its registers; the functional device fills it in itself. Addresses are
   bytes from 0. Every function returns a weft_status. Little-endian machines only. */
#ifndef WEFT_DEVICE_H
#define WEFT_DEVICE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    WEFT_OK = 0,
    WEFT_NO_MEMORY = 1,    /* the host has no room, or no thread, left */
    WEFT_OUT_OF_DRAM = 2,  /* an access, or a network, that does not lie within DRAM */
    WEFT_WRONG_DEVICE = 3, /* a device of another config than the network was compiled for, or none where it needs one */
    WEFT_FAILED = 4,       /* a program that the machine cannot run to its FINISH */
    WEFT_NO_CODE = 5       /* no code for this CPU */
} weft_status;

/* Byte addresses that the machine adds to the DRAM addresses of LOAD and STORE. */
typedef struct {
    uint64_t uop, inp, wgt, acc, out, qnt, lut;
} weft_bases;

typedef struct weft_device {
    void *context;        /* handed to every function below */
    uint32_t fingerprint; /* of the config: what the register `fingerprint` reads */
    uint64_t dram_size;   /* bytes */
    int (*write)(void *context, uint64_t address, const void *data, uint64_t size);
    int (*read)(void *context, uint64_t address, void *data, uint64_t size);
    /* runs the stream of insn_count instructions at insn_address until its FINISH */
    int (*launch)(void *context, uint64_t insn_address, uint32_t insn_count, const weft_bases *bases);
    const char *(*message)(void *context); /* what the last error was, in words; valid until the next call */
    void (*close)(void *context);          /* gives back what the device holds; it is not used after this */
} weft_device;

#ifdef __cplusplus
}
#endif
#endif
