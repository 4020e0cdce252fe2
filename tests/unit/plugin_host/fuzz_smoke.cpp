// A fuzzer's function, called a small and fixed number of times: what it finds at once is found at
// every build, and that it still compiles as well.
//
// The files named on the command line are its seeds; each run changes a few bytes of one, or cuts
// it. The same bytes each time.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int runs = 3000;
constexpr size_t changes_max = 8;        // bytes
constexpr size_t header_bytes = 0x1000;  // where most changes of a file tell

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> seeds = {std::string(300, '\0')};
  for (int index = 1; index < argc; ++index) {
    std::ifstream in(argv[index], std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    if (seeds.back().empty()) {
      std::fprintf(stderr, "%s can't be read\n", argv[index]);
      return 2;
    }
  }
  std::mt19937 chance(1);
  const auto below = [&](size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(chance);
  };
  for (const std::string& seed : seeds) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(seed.data()), seed.size());
  }
  for (int run = 0; run < runs; ++run) {
    std::string input = seeds[below(seeds.size())];
    const size_t changes = below(changes_max);
    for (size_t change = 0; change < changes; ++change) {
      const size_t bound = below(2) == 0 ? std::min(header_bytes, input.size()) : input.size();
      input[below(bound)] = static_cast<char>(below(256));
    }
    if (below(4) == 0) input.resize(below(input.size()));
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
  std::printf("%d runs\n", runs);
  return 0;
}
