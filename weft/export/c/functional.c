/* The functional device in C: DRAM, decoding of streams, and calls of the engine's machine code, all sizes of which stand in
   functional_tables.h, written for one config by weft/export/functional.py. */
#include "functional.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "functional_tables.h"

enum { LINE = 64, STREAMS_KEPT = 64 };

typedef struct stream { /* decoded, and kept: a network launches the same few again for every input */
    struct stream *next;
    uint64_t address;
    uint32_t count;
    uint8_t *raw;
    int32_t *records, *queues, *order;
    int64_t starts[4], finish;
} stream;

typedef struct {
    uint8_t *dram;
    uint64_t dram_size;
    int64_t words[WORDS];
    void *arrays[ARRAYS];
    const engine_form *form;
    stream *streams;
    int kept;
    char message[160];
} functional;

static int fail(functional *device, int status, const char *what, uint64_t address, uint64_t size) {
    snprintf(device->message, sizeof device->message, what, (unsigned long long)address, (unsigned long long)size);
    return status;
}

static int lies_within(functional *device, uint64_t address, uint64_t size) {
    return address <= device->dram_size && size <= device->dram_size - address;
}

static int dram_write(void *context, uint64_t address, const void *data, uint64_t size) {
    functional *device = context;
    if (!lies_within(device, address, size))
        return fail(device, WEFT_OUT_OF_DRAM, "an access must lie within DRAM, but at 0x%llx are %llu bytes", address, size);
    memcpy(device->dram + address, data, size);
    return WEFT_OK;
}

static int dram_read(void *context, uint64_t address, void *data, uint64_t size) {
    functional *device = context;
    if (!lies_within(device, address, size))
        return fail(device, WEFT_OUT_OF_DRAM, "an access must lie within DRAM, but at 0x%llx are %llu bytes", address, size);
    memcpy(data, device->dram + address, size);
    return WEFT_OK;
}

static void free_stream(stream *s) {
    free(s->raw);
    free(s->records);
    free(s->queues);
    free(s->order);
    free(s);
}

static void forget_streams(functional *device) {
    while (device->streams) {
        stream *s = device->streams;
        device->streams = s->next;
        free_stream(s);
    }
    device->kept = 0;
}

static int32_t extract(const uint64_t *words, const field *f) {
    uint64_t value = words[f->offset / 64] >> f->offset % 64 & (f->width == 64 ? ~0ull : (1ull << f->width) - 1);
    if (f->is_signed && value >> (f->width - 1))
        value -= 1ull << f->width;
    return (int32_t)value;
}

/* Fields of every instruction, and the tokens that it takes and gives as bits of queues. */
static int decode(stream *s) {
    int64_t counts[3] = {0, 0, 0}, k;
    s->finish = -1;
    for (k = 0; k < s->count; k++) {
        uint64_t words[2];
        int32_t *record = s->records + k * COLUMNS;
        memcpy(words, s->raw + 16 * k, 16);
        unsigned opcode = words[0] & 7;
        if (!opcodes[opcode].fields)
            return 0;
        for (const field *f = opcodes[opcode].fields; f < opcodes[opcode].fields + opcodes[opcode].count; f++)
            record[f->column] = extract(words, f);
        int module = record[COLUMN_MODULE] = module_of[opcode][record[COLUMN_MEMORY_TYPE] & 7];
        for (const token *t = tokens; t < tokens + TOKENS; t++)
            if (t->module == module)
                record[t->into] |= record[t->flag] << t->queue;
        if (s->finish < 0 && opcode == OPCODE_FINISH)
            s->finish = k;
        counts[module]++;
    }
    s->starts[0] = 0;
    for (int m = 0; m < 3; m++)
        s->starts[m + 1] = s->starts[m] + counts[m];
    int64_t places[3] = {s->starts[0], s->starts[1], s->starts[2]};
    for (k = 0; k < s->count; k++)
        s->queues[places[s->records[k * COLUMNS + COLUMN_MODULE]]++] = (int32_t)k;
    return 1;
}

static int find_stream(functional *device, uint64_t address, uint32_t count, stream **found) {
    uint64_t size = (uint64_t)count * 16;
    if (!lies_within(device, address, size))
        return fail(device, WEFT_OUT_OF_DRAM, "a stream must lie within DRAM, but at 0x%llx are %llu instructions", address, count);
    for (stream *s = device->streams; s; s = s->next)
        if (s->address == address && s->count == count && !memcmp(s->raw, device->dram + address, size)) {
            *found = s;
            return WEFT_OK;
        }
    if (device->kept >= STREAMS_KEPT)
        forget_streams(device);
    stream *s = calloc(1, sizeof *s);
    if (!s)
        return fail(device, WEFT_NO_MEMORY, "no memory for a stream", 0, 0);
    s->address = address;
    s->count = count;
    s->raw = malloc(size + 1);
    s->records = calloc((size_t)count + 1, COLUMNS * sizeof *s->records);
    s->queues = calloc((size_t)count + 1, sizeof *s->queues);
    s->order = calloc((size_t)count + 1, sizeof *s->order);
    if (!s->raw || !s->records || !s->queues || !s->order) {
        free_stream(s);
        return fail(device, WEFT_NO_MEMORY, "no memory for a stream", 0, 0);
    }
    memcpy(s->raw, device->dram + address, size);
    int known = decode(s);
    if (!known || s->finish < 0) {
        free_stream(s);
        return fail(device, WEFT_FAILED, known ? "the stream at 0x%llx holds no FINISH" : "the stream at 0x%llx holds an unknown opcode",
                    address, 0);
    }
    s->next = device->streams;
    device->streams = s;
    device->kept++;
    *found = s;
    return WEFT_OK;
}

static void point(functional *device, int word, const void *array) {
    device->words[word] = (int64_t)(uintptr_t)array;
}

static int64_t *words_of(functional *device, int word) {
    return (int64_t *)(uintptr_t)device->words[word];
}

static int launch(void *context, uint64_t insn_address, uint32_t insn_count, const weft_bases *bases) {
    functional *device = context;
    stream *s;
    int status = find_stream(device, insn_address, insn_count, &s);
    if (status)
        return status;
    for (int memory = 0; memory < MEMORIES; memory++)
        words_of(device, WORD_BASES)[memory] = (int64_t)((const uint64_t *)bases)[base_of[memory]];
    point(device, WORD_RECORDS, s->records);
    point(device, WORD_QUEUES, s->queues);
    point(device, WORD_STARTS, s->starts);
    point(device, WORD_ORDER, s->order);
    memcpy(words_of(device, WORD_HEADS), s->starts, 3 * sizeof *s->starts);
    device->words[WORD_FINISH] = s->finish;
    device->words[WORD_EXECUTED] = 0;
    device->form->prepare(device->words);
    int64_t outcome = device->form->run(device->words);
    if (outcome >= 0)
        return fail(device, WEFT_FAILED, "instruction %llu cannot run; `weft check` on the program says why", (uint64_t)outcome, 0);
    if (outcome != FINISHED)
        return fail(device, WEFT_FAILED, "the program waits for tokens for ever, after %llu instructions",
                    (uint64_t)device->words[WORD_EXECUTED], 0);
    return WEFT_OK;
}

static const char *message(void *context) {
    return ((functional *)context)->message;
}

static void close_device(void *context) {
    functional *device = context;
    forget_streams(device);
    for (int k = 0; k < ARRAYS; k++)
        free(device->arrays[k]);
    free(device->dram);
    free(device);
}

static void *zeros(uint64_t size) {
    void *memory = NULL;
    size = (size + LINE - 1) / LINE * LINE + LINE;
    if (size != (size_t)size || posix_memalign(&memory, LINE, (size_t)size))
        return NULL;
    return memset(memory, 0, (size_t)size);
}

int weft_functional_open(weft_device *opened, uint64_t dram_size) {
    functional *device = calloc(1, sizeof *device);
    if (!device)
        return WEFT_NO_MEMORY;
    for (const engine_form *form = forms; form < forms + FORMS && !device->form; form++)
        if (cpu_has(form->needs))
            device->form = form;
    if (!device->form) {
        free(device);
        return WEFT_NO_CODE;
    }
    device->dram_size = dram_size;
    device->dram = zeros(dram_size);
    int complete = device->dram != NULL;
    for (int k = 0; k < ARRAYS; k++) {
        device->arrays[k] = zeros(device->form->arrays[k]);
        complete = complete && device->arrays[k];
        point(device, array_words[k], device->arrays[k]);
    }
    if (!complete) {
        close_device(device);
        return WEFT_NO_MEMORY;
    }
    point(device, WORD_DRAM, device->dram);
    device->words[WORD_DRAM_SIZE] = (int64_t)dram_size;
    *opened = (weft_device){device, FINGERPRINT, dram_size, dram_write, dram_read, launch, message, close_device};
    return WEFT_OK;
}
