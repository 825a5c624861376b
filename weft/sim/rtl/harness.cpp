// The clock, the host and the DRAM of the accelerator, around the model that Verilator made of it; a C interface for ctypes.
//
// One cycle: handshakes and trace pulses are sampled, clk rises, and the next cycle's inputs are set. Python is
// called by nothing in here.
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "memory.h"
#include "verilated.h"
#ifdef WEFT_TRACE
#include "verilated_vcd_c.h"
#endif

// Verilator writes the second of two underscores in a row as __05F.
#define AXI(name) top.m_axi___05F##name
#define LITE(name) top.s_axil___05F##name
#define PULSE(module, edge) top.trace___05F##module##___05F##edge

// Where Verilator keeps the clock that it saw last, so that a rising edge needs no evaluation of the falling one. `known` is
// false for a version that names it otherwise.
template <class Root, class = void> struct LastClock {
    static constexpr bool known = false;
    static void low(Root*) {}
};
template <class Root> struct LastClock<Root, std::void_t<decltype(Root::__Vtrigprevexpr___TOP__clk__0)>> {
    static constexpr bool known = true;
    static void low(Root* root) { root->__Vtrigprevexpr___TOP__clk__0 = 0; }
};
void Vtop___024root___eval(Vtop___024root*);
#ifdef WEFT_TRACE
constexpr bool ONE_EVALUATION = false;
#else
constexpr bool ONE_EVALUATION = LastClock<Vtop___024root>::known;
#endif

enum Stop : int { DONE, OUT_OF_CYCLES, QUIET, FAULTY };  // as weft/sim/rtl/library.py declares it

struct Machine {
    static constexpr unsigned BYTES = sizeof(std::remove_reference_t<decltype(Vtop::m_axi___05Frdata)>);

    VerilatedContext context;
    Vtop top;
    Memory<BYTES> memory;
    uint64_t now = 0;            // the cycle that is being prepared
    uint64_t last_progress = 0;  // cycle of the last AXI handshake or trace pulse
    std::vector<uint64_t> starts[3], ends[3];
#ifdef WEFT_TRACE
    std::unique_ptr<VerilatedVcdC> vcd;
    uint64_t vcd_time = 0;
#endif

    Machine() : top(&context) {}
    ~Machine() {
        close_vcd();
        top.final();
        static VerilatedContext survivor;  // Verilator's runtime reads the context that this thread saw last, alive or not
        Verilated::threadContextp(&survivor);
    }

    // What memory.h reads of the accelerator's ports.
    struct Ports {
        Machine& m;
        const bool arvalid, rready, awvalid, wvalid, bready;
        explicit Ports(Machine& machine)
            : m(machine), arvalid(m.AXI(arvalid)), rready(m.AXI(rready)), awvalid(m.AXI(awvalid)), wvalid(m.AXI(wvalid)),
              bready(m.AXI(bready)) {}
        Request ar() const { return {m.AXI(araddr), m.AXI(arid), m.AXI(arlen), m.AXI(arsize), m.AXI(arburst)}; }
        Request aw() const { return {m.AXI(awaddr), m.AXI(awid), m.AXI(awlen), m.AXI(awsize), m.AXI(awburst)}; }
        Beat<BYTES> w() const {
            Beat<BYTES> beat;
            memcpy(beat.data, &m.AXI(wdata), BYTES);
            beat.strobe = m.AXI(wstrb), beat.last = m.AXI(wlast);
            return beat;
        }
    };

    void settle() {
        top.clk = 0;
        top.eval();
        dump();
    }
    void rise() {
        top.clk = 1;
        top.eval();
        dump();
        now++;
    }

    // One evaluation a cycle is enough: what the bus and the trace see of the accelerator follows from its registers alone,
    // so it is settled since the last edge. Only AXI4-Lite and waveforms need the falling edge too.
    void cycle() {
        if (!ONE_EVALUATION) settle();
        bool moved = memory.attached() && memory.sample(Ports(*this), now);
        const unsigned pulses = PULSE(load, start) | PULSE(load, end) | PULSE(compute, start) | PULSE(compute, end) |
                                PULSE(store, start) | PULSE(store, end);
        if (pulses) record();
        if (moved | bool(pulses)) last_progress = now;
        if (ONE_EVALUATION) {
            LastClock<Vtop___024root>::low(top.rootp);
            top.clk = 1;
            Vtop___024root___eval(top.rootp);  // top.eval() without the bookkeeping around it
            now++;
        } else {
            rise();
        }
        if (memory.attached()) drive();
    }

    void record() {
        if (PULSE(load, start)) starts[0].push_back(now);
        if (PULSE(load, end)) ends[0].push_back(now);
        if (PULSE(compute, start)) starts[1].push_back(now);
        if (PULSE(compute, end)) ends[1].push_back(now);
        if (PULSE(store, start)) starts[2].push_back(now);
        if (PULSE(store, end)) ends[2].push_back(now);
    }

    void drive() {
        memory.drive(now);
        AXI(arready) = memory.arready, AXI(awready) = memory.awready, AXI(wready) = memory.wready;
        AXI(rvalid) = memory.rvalid, AXI(bvalid) = memory.bvalid;
        if (memory.rvalid) {
            AXI(rid) = memory.rid, AXI(rresp) = memory.rresp, AXI(rlast) = memory.rlast;
            memcpy(&AXI(rdata), memory.rdata, BYTES);
        }
        if (memory.bvalid) AXI(bid) = memory.bid, AXI(bresp) = memory.bresp;
    }

    void reset() {
        memory.clear();
        LITE(awvalid) = LITE(wvalid) = LITE(arvalid) = LITE(bready) = LITE(rready) = 0;
        AXI(arready) = AXI(awready) = AXI(wready) = AXI(rvalid) = AXI(bvalid) = 0;
        top.rst = 1;
        for (int i = 0; i < 4; i++) settle(), rise();
        top.rst = 0;
        if (memory.attached()) drive();
    }

    // The host's side of AXI4-Lite. False where the accelerator gives no answer.
    bool write_register(uint32_t offset, uint32_t value) {
        LITE(awaddr) = offset, LITE(wdata) = value, LITE(wstrb) = 0xF;
        LITE(awvalid) = LITE(wvalid) = LITE(bready) = 1;
        for (int i = 0; i < ANSWER_CYCLES; i++) {
            const bool aw = LITE(awvalid), w = LITE(wvalid);
            bool aw_taken, w_taken, answered;
            settle_lite([&] { aw_taken = aw && LITE(awready), w_taken = w && LITE(wready), answered = LITE(bvalid); });
            if (aw_taken) LITE(awvalid) = 0;
            if (w_taken) LITE(wvalid) = 0, register_write = now - 1;
            if (answered) return LITE(bready) = 0, true;
        }
        return no_answer(offset);
    }
    bool read_register(uint32_t offset, uint32_t* value) {
        LITE(araddr) = offset, LITE(arvalid) = LITE(rready) = 1;
        for (int i = 0; i < ANSWER_CYCLES; i++) {
            bool taken, answered;
            settle_lite([&] { taken = LITE(arvalid) && LITE(arready), answered = LITE(rvalid), *value = LITE(rdata); });
            if (taken) LITE(arvalid) = 0;
            if (answered) return LITE(rready) = 0, true;
        }
        return no_answer(offset);
    }
    uint64_t register_write = 0;  // the cycle in which the last register write was taken

    Stop run(uint64_t cycles, uint64_t quiet) {
        for (uint64_t stop = now + cycles; now < stop;) {
            cycle();
            if (top.irq) return drain();
            if (memory.fault.rule[0]) return FAULTY;
            if (now - last_progress > quiet) return QUIET;
        }
        return OUT_OF_CYCLES;
    }

    void open_vcd(const char* path);
    void close_vcd();
    void dump();

private:
    static constexpr int ANSWER_CYCLES = 1000, DRAIN_CYCLES = 100000;

    // A cycle whose AXI4-Lite handshakes `look` sees after they settled, before clk rises.
    template <class Look> void settle_lite(Look look) {
        top.clk = 0;
        top.eval();
        look();
        cycle();
    }

    bool no_answer(uint32_t offset) {
        memory.report(now, "AXI4-Lite: a register access is answered", "a fault in weft/hw", "none in %d cycles, at offset 0x%02x",
                      ANSWER_CYCLES, offset);
        return false;
    }

    Stop drain() {  // what is still on its way to DRAM when FINISH is reached
        for (int i = 0; i < DRAIN_CYCLES && !memory.idle() && !memory.fault.rule[0]; i++) cycle();
        return memory.fault.rule[0] ? FAULTY : DONE;
    }
};

#ifdef WEFT_TRACE
void Machine::open_vcd(const char* path) {
    close_vcd();
    Verilated::threadContextp(&context);
    context.traceEverOn(true);
    vcd = std::make_unique<VerilatedVcdC>();
    top.trace(vcd.get(), 99);
    vcd->open(path);
}
void Machine::close_vcd() {
    if (vcd) vcd->close();
    vcd.reset();
}
void Machine::dump() {
    if (vcd) vcd->dump(5 * vcd_time++);  // a cycle is 10 units: clk falls at 0, rises at 5
}
#else
void Machine::open_vcd(const char*) {}
void Machine::close_vcd() {}
inline void Machine::dump() {}
#endif

extern "C" {
Machine* weft_new() { return new Machine; }
void weft_free(Machine* m) { delete m; }
uint32_t weft_bus_bytes() { return Machine::BYTES; }
void weft_attach(Machine* m, uint8_t* dram, uint64_t size, const Timing* timing) { m->memory.attach(dram, size, *timing); }
void weft_reset(Machine* m) { m->reset(); }
int weft_write_register(Machine* m, uint32_t offset, uint32_t value) { return m->write_register(offset, value); }
int weft_read_register(Machine* m, uint32_t offset, uint32_t* value) { return m->read_register(offset, value); }
int weft_run(Machine* m, uint64_t cycles, uint64_t quiet) { return m->run(cycles, quiet); }
void weft_cycles(Machine* m, uint64_t cycles) {
    while (cycles--) m->cycle();
}
uint64_t weft_now(Machine* m) { return m->now; }
uint64_t weft_register_write(Machine* m) { return m->register_write; }
const Fault* weft_fault(Machine* m) { return &m->memory.fault; }
void weft_forget_events(Machine* m) {
    for (int i = 0; i < 3; i++) m->starts[i].clear(), m->ends[i].clear();
    m->last_progress = m->now;
}
uint64_t weft_events(Machine* m, int module, int end, const uint64_t** first) {
    const std::vector<uint64_t>& events = end ? m->ends[module] : m->starts[module];
    return *first = events.data(), events.size();
}
void weft_open_vcd(Machine* m, const char* path) { m->open_vcd(path); }
void weft_close_vcd(Machine* m) { m->close_vcd(); }
}
#ifdef WEFT_SIGNALS
#include "signals.h"  // written by weft/sim/rtl/signals.py: what PyVerilator's class asks of a library
#endif
