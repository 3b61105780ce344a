#include "engine/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "catch.hpp"

TEST_CASE("every index is visited once, and no two calls share a worker", "[engine]") {
  const vq::index_type threads = GENERATE(1, 2, 5);
  const vq::index_type count = GENERATE(0, 1, 3, 1000);
  std::vector<std::atomic<int>> visits(engine::at(count)), busy(engine::at(threads));
  std::atomic<bool> shared{false};
  const engine::parallel_for run{threads};
  run(count, [&](vq::index_type i, vq::index_type worker) {
    if (busy[engine::at(worker)]++ != 0) shared = true;
    ++visits[engine::at(i)];
    --busy[engine::at(worker)];
  });
  REQUIRE(std::all_of(visits.begin(), visits.end(), [](const auto& v) { return v == 1; }));
  REQUIRE(!shared);
}
