/* A network in C: the steps of network_tables.h, written by weft/export/network.py, over a device, and a team of threads for what is
   on the CPU. Everything but four functions is static: several networks go into one program. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "network_tables.h"

#include "cpu.h"

enum { LINE = 64, SPINS = 20000, MOST_THREADS = 256, STACK = 1 << 20 };

typedef void network_function(void *arena, const void *constants, void **io, int64_t thread, int64_t threads, void *barrier);

/* Threads that live as long as the network: they spin for the next job, which often comes at once, then they sleep. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t posted;
    atomic_int jobs, ends;
    int threads, started;
    pthread_t workers[MOST_THREADS];
    network_function *function;
    void *arena, *io[MOST_IO];
    const void *constants;
    void *barrier;
} team;

typedef struct {
    team *team;
    int thread;
} worker;

struct NETWORK {
    const weft_device *device;
    uint64_t base;
    const cpu_form *form;
    uint8_t *scratch;
    team team;
    worker places[MOST_THREADS];
    const char *message;
};

static void pause_a_moment(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void *work(void *argument) {
    worker *me = argument;
    team *t = me->team;
    for (int seen = 0;;) {
        int now, spins = 0;
        while ((now = atomic_load_explicit(&t->jobs, memory_order_acquire)) == seen && spins++ < SPINS)
            pause_a_moment();
        if (now == seen) {
            pthread_mutex_lock(&t->lock);
            while ((now = atomic_load(&t->jobs)) == seen)
                pthread_cond_wait(&t->posted, &t->lock);
            pthread_mutex_unlock(&t->lock);
        }
        seen = now;
        if (atomic_load(&t->ends))
            return NULL;
        t->function(t->arena, t->constants, t->io, me->thread, t->threads, t->barrier);
    }
}

static void post(team *t) {
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->jobs, 1);
    pthread_cond_broadcast(&t->posted);
    pthread_mutex_unlock(&t->lock);
}

/* All threads call the function, which ends with a barrier. */
static void call(team *t, network_function *function, const void *constants) {
    t->function = function;
    t->constants = constants;
    if (t->threads > 1)
        post(t);
    function(t->arena, constants, t->io, 0, t->threads, t->barrier);
}

static void end_team(team *t) {
    atomic_store(&t->ends, 1);
    if (t->started)
        post(t);
    for (int k = 0; k < t->started; k++)
        pthread_join(t->workers[k], NULL);
    t->started = 0;
}

static int start_team(struct NETWORK *network, int threads) {
    team *t = &network->team;
    pthread_attr_t attributes;
    if (threads < 1)
        threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    t->threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    if (pthread_attr_init(&attributes))
        return WEFT_NO_MEMORY;
    pthread_attr_setstacksize(&attributes, STACK); /* some C libraries give little */
    for (int k = 1; k < t->threads; k++) {
        network->places[k] = (worker){t, k};
        if (pthread_create(&t->workers[t->started], &attributes, work, &network->places[k]))
            break;
        t->started++;
    }
    pthread_attr_destroy(&attributes);
    return t->started == t->threads - 1 ? WEFT_OK : WEFT_NO_MEMORY;
}

static void *room(uint64_t size) {
    void *memory = NULL;
    size = (size / LINE + 1) * LINE;
    if (size != (size_t)size || posix_memalign(&memory, LINE, (size_t)size))
        return NULL;
    return memset(memory, 0, (size_t)size);
}

static void copy_bytes(uint8_t *to, const uint8_t *from, const copy *c, const copy_loop *l, const copy_loop *last) {
    if (l < last) {
        for (uint32_t k = 0; k < l->size; k++)
            copy_bytes(to + k * l->to, from + k * l->from, c, l + 1, last);
        return;
    }
    uint32_t size = l->size;
    int64_t a = l->to, b = l->from;
    if (a == c->item && b == a && !c->flip)
        memcpy(to, from, (size_t)size * c->item);
    else if (c->item == 1)
        for (uint32_t k = 0; k < size; k++)
            to[k * a] = from[k * b] ^ c->flip;
    else
        for (uint32_t k = 0; k < size; k++)
            memcpy(to + k * a, from + k * b, c->item);
}

static int fail(struct NETWORK *network, int status, const char *message) {
    network->message = message;
    return status;
}

static int of_device(struct NETWORK *network, int status) {
    return status ? fail(network, status, network->device->message ? network->device->message(network->device->context) : "the device failed")
                  : WEFT_OK;
}

static int take(struct NETWORK *network, const step *s, uint8_t *const *bases) {
    const weft_device *device = network->device;
    uint8_t *here = bases[s->place.base] + s->place.offset;
    uint64_t base = network->base;
    weft_bases all = {base, base, base, base, base, base, base};
    switch (s->kind) {
    case STEP_FILL:
        memset(here, (int)s->number, s->size);
        return WEFT_OK;
    case STEP_COPY:
        for (const copy *c = copies + s->number; c < copies + s->number + s->size; c++)
            copy_bytes(bases[c->to.base] + c->to.offset, bases[c->from.base] + c->from.offset, c, c->loops, c->loops + c->rank - 1);
        return WEFT_OK;
    case STEP_WRITE:
        return of_device(network, device->write(device->context, base + s->number, here, s->size));
    case STEP_READ:
        return of_device(network, device->read(device->context, base + s->number, here, s->size));
    case STEP_LAUNCH:
        return of_device(network, device->launch(device->context, base + s->number, (uint32_t)s->size, &all));
    default:
        for (int k = 0; k < functions[s->number].count; k++)
            network->team.io[k] = bases[functions[s->number].io[k].base] + functions[s->number].io[k].offset;
        call(&network->team, network->form->code[s->number], constants + functions[s->number].first);
        return WEFT_OK;
    }
}

int NAME(run)(struct NETWORK *network, const void *const *inputs, void *const *outputs) {
    uint8_t *bases[2 + INPUTS + OUTPUTS] = {network->scratch, (uint8_t *)(uintptr_t)constants};
    for (int k = 0; k < INPUTS; k++)
        bases[2 + k] = (uint8_t *)(uintptr_t)inputs[k];
    for (int k = 0; k < OUTPUTS; k++)
        bases[2 + INPUTS + k] = outputs[k];
    for (const step *s = steps; s < steps + STEPS; s++) {
        int status = take(network, s, bases);
        if (status)
            return status;
    }
    return WEFT_OK;
}

void NAME(destroy)(struct NETWORK *network) {
    if (!network)
        return;
    end_team(&network->team);
    free(network->scratch);
    free(network->team.arena);
    free(network->team.barrier);
    pthread_cond_destroy(&network->team.posted);
    pthread_mutex_destroy(&network->team.lock);
    free(network);
}

const char *NAME(message)(const struct NETWORK *network) {
    return network->message;
}

/* What stands against a device of this kind. */
static int check_device(const weft_device *device, uint64_t base) {
    if (!LAUNCHES)
        return WEFT_OK;
    if (!device || device->fingerprint != FINGERPRINT)
        return WEFT_WRONG_DEVICE;
    return base <= device->dram_size && MEMORY_SIZE <= device->dram_size - base ? WEFT_OK : WEFT_OUT_OF_DRAM;
}

static int prepare(struct NETWORK *network, int threads) {
    for (const cpu_form *form = forms; form < forms + FORMS && !network->form; form++)
        if (cpu_has(form->needs))
            network->form = form;
    if (FUNCTIONS && !network->form)
        return WEFT_NO_CODE;
    network->scratch = room(SCRATCH_SIZE);
    network->team.arena = room(ARENA_SIZE);
    network->team.barrier = room(BARRIER_SIZE);
    if (!network->scratch || !network->team.arena || !network->team.barrier)
        return WEFT_NO_MEMORY;
    int status = FUNCTIONS ? start_team(network, threads) : WEFT_OK;
    if (!status && LAUNCHES)
        status = network->device->write(network->device->context, network->base, image, IMAGE_SIZE);
    return status;
}

int NAME(create)(struct NETWORK **made, const weft_device *device, uint64_t base, int threads) {
    *made = NULL;
    int status = check_device(device, base);
    if (status)
        return status;
    struct NETWORK *network = calloc(1, sizeof *network);
    if (!network)
        return WEFT_NO_MEMORY;
    network->device = device;
    network->base = base;
    network->message = "";
    pthread_mutex_init(&network->team.lock, NULL);
    pthread_cond_init(&network->team.posted, NULL);
    status = prepare(network, threads);
    if (status)
        NAME(destroy)(network);
    else
        *made = network;
    return status;
}
