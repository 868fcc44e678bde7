// C interface of sf_compute_bench: fill the scratchpad, run instructions, read the scratchpad back.
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vbench.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

namespace {
struct Bench {
  VerilatedContext context;
  std::unique_ptr<Vbench> top;
  uint64_t cycles = 0;
  Bench() : top(new Vbench(&context)) {}
  void tick() {
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->eval();
    ++cycles;
  }
};
template <typename Port>
void put(Port& port, const uint8_t* bytes, size_t size) {
  std::memcpy(&port, bytes, size);
}
}  // namespace

extern "C" {
void* bench_new() {
  auto* bench = new Bench;
  bench->top->clk = 0;
  bench->top->rst = 1;
  for (int i = 0; i < 4; ++i) bench->tick();
  bench->top->rst = 0;
  bench->tick();
  return bench;
}

void bench_free(void* handle) { delete static_cast<Bench*>(handle); }

#if VM_COVERAGE
// What the bench has seen so far.
void bench_write_coverage(void* handle, const char* path) { static_cast<Bench*>(handle)->context.coveragep()->write(path); }
#endif

void bench_reset(void* handle) {
  auto& top = *static_cast<Bench*>(handle)->top;
  top.issue_valid = 0;
  top.rst = 1;
  for (int i = 0; i < 4; ++i) static_cast<Bench*>(handle)->tick();
  top.rst = 0;
  static_cast<Bench*>(handle)->tick();
}

void bench_fill(void* handle, uint32_t first, const uint8_t* data, uint32_t words, uint32_t lanes) {
  auto& bench = *static_cast<Bench*>(handle);
  for (uint32_t i = 0; i < words; ++i) {
    bench.top->l_valid = 1;
    bench.top->l_address = first + i;
    put(bench.top->l_data, data + static_cast<size_t>(i) * lanes, lanes);
    bench.tick();
  }
  bench.top->l_valid = 0;
  for (int i = 0; i < 4; ++i) bench.tick();
}

void bench_read(void* handle, uint32_t first, uint8_t* data, uint32_t words, uint32_t lanes) {
  auto& bench = *static_cast<Bench*>(handle);
  uint32_t got = 0, asked = 0;
  while (got < words) {
    bench.top->s_valid = asked < words;
    bench.top->s_address = first + asked;
    bench.top->eval();
    if (bench.top->s_valid && bench.top->s_ready) ++asked;
    bench.tick();
    if (bench.top->s_data_valid) std::memcpy(data + static_cast<size_t>(got++) * lanes, &bench.top->s_data, lanes);
  }
  bench.top->s_valid = 0;
}

// Runs `count` instructions in turn. Returns 0, the error code, 256 + 1 (range), 256 + 2 (conflict) or 512 (not done in `limit`);
// cycles[i] is how long instruction i was busy (0: none).
int bench_run(void* handle, const uint8_t* words, const uint16_t* indices, uint32_t count, uint64_t limit, uint64_t* cycles) {
  auto& bench = *static_cast<Bench*>(handle);
  auto& top = *bench.top;
  uint32_t issued = 0, retired = 0, computes = 0;
  uint64_t busy = 0;
  for (uint32_t i = 0; i < count; ++i) computes += (words[32 * i] & 15) == 4;
  for (uint64_t t = 0; t < limit; ++t) {
    if (issued == count && retired == computes && top.idle) return 0;
    top.issue_valid = issued < count;
    if (issued < count) {
      put(top.word, words + 32 * issued, 32);
      top.row_index = indices[2 * issued];
      top.channel_index = indices[2 * issued + 1];
    }
    top.eval();
    if (top.fault) return top.fault_code;
    if (top.fault_range) return 257;
    if (top.fault_conflict) return 258;
    busy += top.busy;
    if (top.retire) {
      cycles[retired++] = busy;
      busy = 0;
    }
    if (top.issue_valid && top.issue_ready) ++issued;
    bench.tick();
  }
  return 512;
}
}
