// The Verilated accelerator with a clock, a DRAM and a register master, behind a C interface that Python's ctypes calls.

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "Vsf_top.h"
#include "sf_dram.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

#ifndef SF_DRAM_BYTES
#error "SF_DRAM_BYTES is the width of the DRAM port"
#endif

#define SF_API extern "C" __attribute__((visibility("default")))

// One instruction that an engine executed. Python has the same structure.
struct SfEvent {
    uint64_t start_cycle, end_cycle;
    uint32_t engine, index, address, bytes;
};

class SfSim {
  public:
    explicit SfSim(const SfConfig& config)
        : m_top{prepared(m_context, config)}, m_dram{m_top, config}, m_stalls{config.stall_percent}, m_random{config.seed ^ 0x5f5f} {
        m_top.clk = 0;
        m_top.rst = 1;
        m_top.s_axi_awvalid = m_top.s_axi_wvalid = m_top.s_axi_bready = 0;
        m_top.s_axi_arvalid = m_top.s_axi_rready = 0;
        // Nobody listens to what the outputs are before and while the reset takes hold.
        for (int i = 0; i < 8; i++) {
            m_top.eval();
            m_top.clk = !m_top.clk;
        }
        m_top.rst = 0;
        m_top.eval();
    }
    ~SfSim() { m_top.final(); }

    // Runs to the interrupt, or for so many cycles, or until a rule of the bus is broken. Returns whether the interrupt came.
    bool run(uint64_t cycles) {
        for (uint64_t i = 0; i < cycles && !m_top.irq && m_dram.violation().empty(); i++) tick();
        return m_top.irq;
    }

    // A register read. False when the accelerator does not answer.
    bool read(uint8_t offset, uint32_t& value) {
        stall();
        m_top.s_axi_arvalid = 1;
        m_top.s_axi_araddr = offset;
        if (!wait(m_top.s_axi_arready)) return false;
        m_top.s_axi_arvalid = 0;
        stall();
        m_top.s_axi_rready = 1;
        const bool answered = wait(m_top.s_axi_rvalid, [&] { value = m_top.s_axi_rdata; });
        m_top.s_axi_rready = 0;
        return answered;
    }

    // A register write of the bytes in `strobe`; address and data may come in any order.
    bool write(uint8_t offset, uint32_t value, uint8_t strobe) {
        m_top.s_axi_awaddr = offset;
        m_top.s_axi_wdata = value;
        m_top.s_axi_wstrb = strobe;
        for (int i = 0; m_top.s_axi_awvalid == 0 || m_top.s_axi_wvalid == 0; i++) {
            if (!m_random.happens(m_stalls)) m_top.s_axi_awvalid = 1;
            if (!m_random.happens(m_stalls)) m_top.s_axi_wvalid = 1;
            m_top.eval();
            if (m_top.s_axi_awvalid == 0 || m_top.s_axi_wvalid == 0) tick();
        }
        // The accelerator takes both at once.
        if (!wait(m_top.s_axi_wready)) return false;
        m_top.s_axi_awvalid = m_top.s_axi_wvalid = 0;
        stall();
        m_top.s_axi_bready = 1;
        const bool answered = wait(m_top.s_axi_bvalid);
        m_top.s_axi_bready = 0;
        return answered;
    }

    const std::vector<SfEvent>& events() const { return m_events; }
    uint64_t now() const { return m_now; }
    const char* violation() const { return m_dram.violation().empty() ? nullptr : m_dram.violation().c_str(); }

    void write_coverage(const char* path) {
#if VM_COVERAGE
        m_context.coveragep()->write(path);
#else
        (void)path;
#endif
    }

  private:
    // What nothing resets starts at random where the model was built for it.
    static VerilatedContext* prepared(VerilatedContext& context, const SfConfig& config) {
        if (SF_RANDOM_START) {
            context.randReset(2);
            context.randSeed(static_cast<int>(config.seed & 0x7fffffff) + 1);
        }
        return &context;
    }

    static constexpr int PATIENCE_CYCLES = 1000;
    static constexpr int ENGINES = 3;
    static constexpr uint64_t NEVER = ~uint64_t{0};

    void tick() {
        if (m_top.trace_start | m_top.trace_retire) trace();
        m_dram.sample(m_now);
        m_top.clk = 1;
        m_top.eval();
        m_now++;
        m_dram.drive(m_now);
        m_top.clk = 0;
        m_top.eval();
    }

    void trace() {
        for (int e = 0; e < ENGINES; e++) {
            if (m_top.trace_start >> e & 1) m_started[e] = m_now;
            if (m_top.trace_retire >> e & 1) {
                if (m_started[e] == NEVER) m_started[e] = m_now;  // a SYNC keeps no engine busy
                const uint32_t index = m_top.trace_index >> (20 * e) & 0xfffff;
                m_events.push_back({m_started[e], m_now + 1, static_cast<uint32_t>(e), index, m_top.trace_address[e], m_top.trace_bytes[e]});
                m_started[e] = NEVER;
            }
        }
    }

    // Lets cycles pass where the register master may take its time.
    void stall() {
        while (m_random.happens(m_stalls)) tick();
        m_top.eval();
    }

    // To the end of the cycle in which `flag` is high; `look` sees that cycle.
    template <typename Look>
    bool wait(const CData& flag, Look look) {
        m_top.eval();
        for (int i = 0; i < PATIENCE_CYCLES; i++) {
            const bool high = flag;
            if (high) look();
            tick();
            if (high) return true;
        }
        return false;
    }
    bool wait(const CData& flag) {
        return wait(flag, [] {});
    }

    VerilatedContext m_context;
    Vsf_top m_top;
    SfDram<Vsf_top, SF_DRAM_BYTES> m_dram;
    const uint64_t m_stalls;
    SfRandom m_random;
    uint64_t m_now = 0;
    uint64_t m_started[ENGINES] = {NEVER, NEVER, NEVER};
    std::vector<SfEvent> m_events;
};

SF_API SfSim* sf_open(const SfConfig* config) { return new SfSim{*config}; }
SF_API void sf_close(SfSim* sim) { delete sim; }
SF_API int sf_run(SfSim* sim, uint64_t cycles) { return sim->run(cycles); }
SF_API int sf_read(SfSim* sim, uint32_t offset, uint32_t* value) { return sim->read(static_cast<uint8_t>(offset), *value); }
SF_API int sf_write(SfSim* sim, uint32_t offset, uint32_t value, uint32_t strobe) {
    return sim->write(static_cast<uint8_t>(offset), value, static_cast<uint8_t>(strobe));
}
SF_API uint64_t sf_now(const SfSim* sim) { return sim->now(); }
SF_API const char* sf_violation(const SfSim* sim) { return sim->violation(); }
SF_API const SfEvent* sf_events(const SfSim* sim, uint64_t* count) {
    *count = sim->events().size();
    return sim->events().data();
}
SF_API void sf_write_coverage(SfSim* sim, const char* path) { sim->write_coverage(path); }
