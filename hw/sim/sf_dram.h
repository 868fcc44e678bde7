// A DRAM behind the accelerator's AXI4 port. Reads are answered in order, `latency` cycles after their request at the earliest; a
// write is answered `latency` cycles after its last beat. All beats share one bandwidth. Nothing here knows the program.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>

// What a test sets. Python's ctypes has the same structure in rtl_model.py.
struct SfConfig {
    uint8_t* memory;          // the caller's; a multiple of 4 KiB
    uint64_t memory_bytes;
    uint64_t base;            // bus address of its first byte
    uint64_t rate_numerator;  // bytes in a cycle, as a fraction
    uint64_t rate_denominator;
    uint64_t latency;         // cycles, at least 1
    uint64_t stall_percent;   // of the cycles, on each channel by itself
    uint64_t seed;
    uint64_t bad_address;     // offset of a byte whose bursts are answered with an error; all ones: none
};

class SfRandom {
  public:
    explicit SfRandom(uint64_t seed) : m_state{seed} {}
    // True in so many per cent of the calls.
    bool happens(uint64_t percent) { return percent && next() % 100 < percent; }

  private:
    // splitmix64
    uint64_t next() {
        uint64_t z = (m_state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    uint64_t m_state;
};

// `Top` is the Verilated accelerator; BEAT_BYTES the width of its port.
template <typename Top, unsigned BEAT_BYTES>
class SfDram {
  public:
    SfDram(Top& top, const SfConfig& config)
        : m_top{top}, m_config{config}, m_random{config.seed}, m_beat_cost{BEAT_BYTES * config.rate_denominator} {
        m_top.m_axi_arready = m_top.m_axi_awready = 1;
        m_top.m_axi_rvalid = m_top.m_axi_wready = m_top.m_axi_bvalid = 0;
        m_top.m_axi_bid = 0;
    }

    // What is broken of the AXI rules, or nothing.
    const std::string& violation() const { return m_violation; }

    // In front of the clock edge that ends cycle `now`: who shakes hands.
    void sample(uint64_t now) {
        if (m_top.m_axi_arvalid) sample_read_request(now);
        if (m_top.m_axi_awvalid) sample_write_request();
        m_read_moves = m_top.m_axi_rvalid && m_top.m_axi_rready;
        m_write_moves = m_top.m_axi_wvalid && m_top.m_axi_wready;
        m_answer_moves = m_top.m_axi_bvalid && m_top.m_axi_bready;
        if (m_write_moves) take_write_beat(now);
        else if (m_top.m_axi_wready) m_credit += m_beat_cost;  // nobody used it
    }

    // Behind that edge: what the accelerator sees in cycle `now`.
    void drive(uint64_t now) {
        m_credit += m_config.rate_numerator;
        const uint64_t most = m_beat_cost + m_config.rate_numerator;
        if (m_credit > most) m_credit = most;
        const uint64_t stalls = m_config.stall_percent;
        m_top.m_axi_arready = m_reads.size() < MOST_REQUESTS && !m_random.happens(stalls);
        m_top.m_axi_awready = m_writes.size() < MOST_REQUESTS && !m_random.happens(stalls);
        if (m_read_moves) m_top.m_axi_rvalid = 0;
        if (m_answer_moves) m_top.m_axi_bvalid = 0;
        const bool reads = !m_top.m_axi_rvalid && !m_reads.empty() && now >= m_reads.front().ready && !m_random.happens(stalls);
        const bool writes = m_top.m_axi_wvalid && !m_writes.empty() && !m_random.happens(stalls);
        m_top.m_axi_wready = 0;
        if (m_credit >= m_beat_cost && (reads || writes)) {
            m_credit -= m_beat_cost;
            m_write_turn = writes && (!reads || m_write_turn);
            if (m_write_turn) m_top.m_axi_wready = 1;
            else give_read_beat();
            m_write_turn = !m_write_turn;
        }
        if (!m_top.m_axi_bvalid && !m_answers.empty() && now >= m_answers.front().ready && !m_random.happens(stalls)) {
            m_top.m_axi_bvalid = 1;
            m_top.m_axi_bresp = m_answers.front().response;
            m_answers.pop_front();
        }
    }

  private:
    static constexpr size_t MOST_REQUESTS = 64;
    static constexpr uint64_t OKAY = 0, SLAVE_ERROR = 2, DECODE_ERROR = 3;

    struct Burst {
        uint64_t offset;  // of its next beat, from the memory's start
        unsigned beats;   // that are left
        uint64_t ready;   // cycle of the first beat
        uint8_t id;
        uint8_t response;
    };
    struct Answer {
        uint64_t ready;
        uint8_t response;
    };
    struct Request {
        uint64_t address;
        uint8_t length, id;
        bool pending;
    };


    void complain(const char* what, uint64_t address) {
        if (!m_violation.empty()) return;
        char text[160];
        std::snprintf(text, sizeof text, "%s at bus address 0x%llx", what, static_cast<unsigned long long>(address));
        m_violation = text;
    }

    // A request that was not accepted stays as it is. Returns the burst that it asks for.
    Burst request(Request& before, uint64_t address, uint8_t length, uint8_t id, uint8_t size, uint8_t kind, bool accepted) {
        if (before.pending && (before.address != address || before.length != length || before.id != id))
            complain("a request changed before it was accepted", address);
        before = {address, length, id, !accepted};
        const uint64_t first = address / BEAT_BYTES * BEAT_BYTES;
        const uint64_t last = first + uint64_t{length} * BEAT_BYTES;
        if (first / 4096 != last / 4096) complain("a burst crosses 4 KiB", address);
        if (1u << size != BEAT_BYTES || kind != 1) complain("a burst is not INCR of whole beats", address);
        const uint64_t offset = first - m_config.base;
        const bool inside = first >= m_config.base && offset + (uint64_t{length} + 1) * BEAT_BYTES <= m_config.memory_bytes;
        const bool bad = m_config.bad_address - offset < (uint64_t{length} + 1) * BEAT_BYTES;
        return {offset, length + 1u, 0, id, static_cast<uint8_t>(!inside ? DECODE_ERROR : bad ? SLAVE_ERROR : OKAY)};
    }

    void sample_read_request(uint64_t now) {
        const bool accepted = m_top.m_axi_arready;
        Burst burst = request(m_read_request, m_top.m_axi_araddr, m_top.m_axi_arlen, m_top.m_axi_arid, m_top.m_axi_arsize,
                              m_top.m_axi_arburst, accepted);
        burst.ready = now + m_config.latency;
        if (accepted) m_reads.push_back(burst);
    }

    void sample_write_request() {
        const bool accepted = m_top.m_axi_awready;
        const Burst burst = request(m_write_request, m_top.m_axi_awaddr, m_top.m_axi_awlen, m_top.m_axi_awid,
                                    m_top.m_axi_awsize, m_top.m_axi_awburst, accepted);
        if (accepted) m_writes.push_back(burst);
    }

    void give_read_beat() {
        Burst& burst = m_reads.front();
        m_top.m_axi_rvalid = 1;
        m_top.m_axi_rid = burst.id;
        m_top.m_axi_rresp = burst.response;
        m_top.m_axi_rlast = burst.beats == 1;
        if (burst.response != DECODE_ERROR) std::memcpy(&m_top.m_axi_rdata, m_config.memory + burst.offset, BEAT_BYTES);
        burst.offset += BEAT_BYTES;
        if (--burst.beats == 0) m_reads.pop_front();
    }

    void take_write_beat(uint64_t now) {
        Burst& burst = m_writes.front();
        uint8_t strobe[(BEAT_BYTES + 7) / 8];
        std::memcpy(strobe, &m_top.m_axi_wstrb, sizeof strobe);
        const uint8_t* data = reinterpret_cast<const uint8_t*>(&m_top.m_axi_wdata);
        if (burst.response == OKAY) {
            for (unsigned i = 0; i < BEAT_BYTES; i++)
                if (strobe[i / 8] >> i % 8 & 1) m_config.memory[burst.offset + i] = data[i];
        }
        if (m_top.m_axi_wlast != (burst.beats == 1)) complain("a write burst's last beat is not marked as such", m_config.base + burst.offset);
        burst.offset += BEAT_BYTES;
        if (--burst.beats == 0) {
            m_answers.push_back({now + m_config.latency, burst.response});
            m_writes.pop_front();
        }
    }

    Top& m_top;
    const SfConfig m_config;
    SfRandom m_random;
    const uint64_t m_beat_cost;  // in bytes times the rate's denominator, as the credit
    uint64_t m_credit = 0;
    bool m_write_turn = false;
    bool m_read_moves = false, m_write_moves = false, m_answer_moves = false;
    std::deque<Burst> m_reads, m_writes;
    std::deque<Answer> m_answers;
    Request m_read_request{}, m_write_request{};
    std::string m_violation;
};
