// DRAM behind AXI4: latency, bandwidth, several requests outstanding, and a seeded mode that stalls and reorders at random.
//
// Cycle t of the clock ends at its t-th rising edge. A read request taken in cycle t shows its first beat in cycle
// t + 1 + latency at the earliest, then a beat a cycle (or `rate`/65536 of one), requests in order. A write takes a beat a
// cycle; its response shows 1 + write_latency cycles after both its address and its last beat were taken.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <vector>

struct Fault {  // the first rule that was broken; rule is empty where none was
    char rule[160] = "", found[160] = "", hint[160] = "";
    uint64_t cycle = 0;
};

struct Timing {  // as _Timing of weft/sim/rtl/library.py declares it
    uint32_t latency, write_latency;
    uint32_t rate;         // beats in 65536 cycles, each way
    uint32_t outstanding;  // requests that are taken before one is answered, each way
    uint64_t stall_seed;   // 0: no stalls
};

class Random {  // xorshift64*
    uint64_t state;

public:
    explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15u | 1) {}
    uint32_t operator()(uint32_t below) {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return uint32_t((state * 0x2545F4914F6CDD1Du) >> 33) % below;
    }
};

class Gate {  // says for one channel and cycle whether it may move
    uint32_t closed = 0;

public:
    bool open(Random& random) {
        if (closed) return closed--, false;
        if (random(4) == 0) closed = random(16) == 0 ? random(150) : random(6);
        return !closed;
    }
};

template <class Port> class Stable {  // what a sender must hold while it waits: everything, until it is taken
    Port held;
    bool waiting = false;

public:
    bool broken(bool valid, bool ready, const Port& now) {
        bool bad = waiting && (!valid || memcmp(&held, &now, sizeof now) != 0);
        waiting = valid && !ready;
        if (waiting) held = now;
        return bad;
    }
    void forget() { waiting = false; }
};

struct Request {  // payload of AR or AW; no gaps, so that two can be compared by memcmp
    uint64_t address;
    uint32_t id, len, size, burst;
};

struct Burst {
    uint64_t address;  // of the next beat
    uint64_t ready;    // first cycle in which it may be answered
    uint32_t id, beats;
    bool outside;
};

template <unsigned BYTES> struct Beat {  // payload of W
    uint8_t data[BYTES];
    uint64_t strobe;
    uint64_t last;
};

template <unsigned BYTES> class Memory {
    static constexpr uint64_t PAGE = 4096;
    static constexpr uint32_t ONE = 65536, INCR = 1, DECERR = 3;
    uint8_t* dram = nullptr;
    uint64_t size = 0;
    Timing timing{0, 0, ONE, 64, 0};
    Random random{1};
    Gate ar_gate, r_gate, aw_gate, w_gate, b_gate;
    Stable<Request> ar_stable, aw_stable;
    Stable<Beat<BYTES>> w_stable;
    std::vector<Burst> reads, writes, answers;  // answers: writes that have all their beats
    std::vector<Beat<BYTES>> beats;             // taken and not yet written to DRAM
    size_t matched = 0;                         // of these, how many belong to `answers` or to the first of `writes`
    uint32_t read_credit = ONE, write_credit = ONE;
    int current = -1;  // the read burst whose beats are being sent

    bool stalls() const { return timing.stall_seed != 0; }

public:
    Fault fault;
    // What the memory drives in this cycle.
    bool arready = false, rvalid = false, rlast = false, awready = false, wready = false, bvalid = false;
    uint32_t rid = 0, rresp = 0, bid = 0, bresp = 0;
    uint8_t rdata[BYTES];

    void attach(uint8_t* to, uint64_t bytes, const Timing& with) {
        dram = to, size = bytes, timing = with, random = Random(with.stall_seed);
        clear();
    }
    bool attached() const { return dram != nullptr; }
    bool idle() const { return reads.empty() && writes.empty() && answers.empty() && beats.empty() && !rvalid && !bvalid; }
    void clear() {
        reads.clear(), writes.clear(), answers.clear(), beats.clear();
        matched = 0, current = -1, read_credit = write_credit = ONE;
        arready = rvalid = rlast = awready = wready = bvalid = false;
        ar_stable.forget(), aw_stable.forget(), w_stable.forget();
        fault = Fault();
    }
    void report(uint64_t now, const char* rule, const char* hint, const char* format, ...) __attribute__((format(printf, 5, 6)));

    // The handshakes of the cycle `now`, before its rising edge. Returns whether anything moved.
    template <class Ports> bool sample(const Ports& p, uint64_t now) {
        bool ar = p.arvalid && arready, r = rvalid && p.rready, aw = p.awvalid && awready, w = p.wvalid && wready,
             b = bvalid && p.bready;
        if (p.arvalid) {
            if (ar_stable.broken(true, arready, p.ar())) unstable(now, "AR");
        } else if (ar_stable.broken(false, arready, Request{})) unstable(now, "AR");
        if (p.awvalid) {
            if (aw_stable.broken(true, awready, p.aw())) unstable(now, "AW");
        } else if (aw_stable.broken(false, awready, Request{})) unstable(now, "AW");
        if (p.wvalid) {
            Beat<BYTES> beat = p.w();
            if (w_stable.broken(true, wready, beat)) unstable(now, "W");
            if (w) beats.push_back(beat), write_credit -= ONE;
        } else if (w_stable.broken(false, wready, Beat<BYTES>{})) unstable(now, "W");
        if (r) {
            rvalid = false;
            if (rlast) reads.erase(reads.begin() + current), current = -1;
        }
        if (b) bvalid = false;
        if (ar) reads.push_back(burst(p.ar(), now, timing.latency, "read"));
        if (aw) writes.push_back(burst(p.aw(), now, 0, "write"));
        if (w || aw) match(now);
        return ar || r || aw || w || b;
    }

    // What is driven in cycle `now`.
    void drive(uint64_t now) {
        if (timing.rate != ONE) {
            read_credit = read_credit + timing.rate > ONE ? ONE : read_credit + timing.rate;
            write_credit = write_credit + timing.rate > ONE ? ONE : write_credit + timing.rate;
        } else read_credit = write_credit = ONE;
        arready = reads.size() < timing.outstanding && (!stalls() || ar_gate.open(random));
        awready = writes.size() + answers.size() < timing.outstanding && (!stalls() || aw_gate.open(random));
        wready = beats.size() < 256 * 64 && write_credit == ONE && (!stalls() || w_gate.open(random));
        if (!rvalid && !reads.empty() && read_credit == ONE && (!stalls() || r_gate.open(random))) send_read(now);
        if (!bvalid && !answers.empty() && answers.front().ready <= now && (!stalls() || b_gate.open(random))) send_answer();
    }

private:
    void unstable(uint64_t now, const char* channel) {
        report(now, "AXI4: a sender holds VALID and its payload until READY", "a fault in weft/hw", "a change on channel %s", channel);
    }

    Burst burst(const Request& q, uint64_t now, uint32_t latency, const char* what) {
        uint64_t start = q.address & ~uint64_t(BYTES - 1), bytes = uint64_t(q.len + 1) * BYTES;
        if (q.burst != INCR)
            report(now, "AXI4: a burst is of type INCR (1)", "a fault in weft/hw", "type %u in the %s at 0x%llx", q.burst, what,
                   (unsigned long long)q.address);
        if ((1u << q.size) != BYTES)
            report(now, "AXI4: a beat is as wide as the bus", "a fault in weft/hw", "%u bytes of %u in the %s at 0x%llx", 1u << q.size,
                   BYTES, what, (unsigned long long)q.address);
        if (start / PAGE != (start + bytes - 1) / PAGE)
            report(now, "AXI4: a burst crosses no 4 KiB boundary", "a fault in weft/hw", "a %s of %llu bytes at 0x%llx", what,
                   (unsigned long long)bytes, (unsigned long long)q.address);
        bool outside = start >= size || bytes > size - start;
        if (outside)
            report(now, "an access must lie within DRAM", "a program made for this memory plan, or a device with more dram_size",
                   "a %s of %llu bytes at 0x%llx of 0x%llx", what, (unsigned long long)bytes, (unsigned long long)q.address,
                   (unsigned long long)size);
        uint64_t late = stalls() ? random(8) == 0 ? random(200) : random(20) : 0;
        return Burst{q.address, now + 1 + latency + late, q.id, q.len + 1, outside};
    }

    void match(uint64_t now) {  // beats with the requests that they belong to, both in order
        while (!writes.empty() && matched < beats.size()) {
            Burst& to = writes.front();
            bool last = --to.beats == 0;
            if (bool(beats[matched].last) != last)
                report(now, "AXI4: WLAST marks the last beat of a burst and no other", "a fault in weft/hw", "%s %s",
                       last ? "no WLAST on the last beat, of the write at" : "WLAST on an earlier beat, of the write at",
                       hex(to.address));
            matched++;
            if (!last) continue;
            size_t count = matched - taken_by_answers();
            answers.push_back(Burst{to.address, now + 1 + timing.write_latency, to.id, uint32_t(count), to.outside});
            if (stalls()) answers.back().ready += random(30);
            writes.erase(writes.begin());
            if (!stalls()) commit(answers.back());  // else as late as the protocol allows: with the response
        }
    }

    size_t taken_by_answers() const {
        size_t sum = 0;
        for (const Burst& a : answers) sum += a.beats;
        return sum;
    }

    void commit(Burst& answer) {  // its beats are the oldest
        uint64_t at = answer.address & ~uint64_t(BYTES - 1);
        for (uint32_t i = 0; i < answer.beats; i++, at += BYTES) {
            const Beat<BYTES>& beat = beats[i];
            if (answer.outside) continue;
            if (beat.strobe == (~uint64_t(0) >> (64 - BYTES))) memcpy(dram + at, beat.data, BYTES);
            else
                for (unsigned lane = 0; lane < BYTES; lane++)
                    if (beat.strobe >> lane & 1) dram[at + lane] = beat.data[lane];
        }
        beats.erase(beats.begin(), beats.begin() + answer.beats);
        matched -= answer.beats, answer.beats = 0;
    }

    void send_answer() {
        Burst answer = answers.front();
        if (answer.beats) commit(answer);
        answers.erase(answers.begin());
        bvalid = true, bid = answer.id, bresp = answer.outside ? DECERR : 0;
    }

    void send_read(uint64_t now) {
        if (current < 0 && (current = choose_read(now)) < 0) return;
        Burst& from = reads[current];
        uint64_t at = from.address & ~uint64_t(BYTES - 1);
        if (from.outside) memset(rdata, 0, BYTES);
        else memcpy(rdata, dram + at, BYTES);
        if (stalls()) memset(rdata, 0xA5, from.address - at);  // lanes below the start of a burst carry nothing
        rvalid = true, rid = from.id, rresp = from.outside ? DECERR : 0, rlast = --from.beats == 0;
        from.address = at + BYTES;
        read_credit -= ONE;
    }

    int choose_read(uint64_t now) {  // the oldest; with stalls, of a random id the oldest
        int chosen = -1;
        for (int i = 0; i < int(reads.size()); i++) {
            bool oldest = true;
            for (int j = 0; j < i; j++) oldest &= reads[j].id != reads[i].id;
            if (oldest && reads[i].ready <= now && (chosen < 0 || random(2))) chosen = i;
            if (!stalls()) break;
        }
        return chosen;
    }

    static const char* hex(uint64_t value) {
        static thread_local char text[32];
        snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
        return text;
    }
};

#include <cstdarg>
template <unsigned BYTES>
void Memory<BYTES>::report(uint64_t now, const char* rule, const char* hint, const char* format, ...) {
    if (fault.rule[0]) return;
    fault.cycle = now;
    snprintf(fault.rule, sizeof fault.rule, "%s", rule);
    snprintf(fault.hint, sizeof fault.hint, "%s", hint);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault.found, sizeof fault.found, format, arguments);
    va_end(arguments);
}
