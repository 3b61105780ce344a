// Linear layers that quantize their rows in the call: every instruction set gives the floats of the
// definition.
#include <cstddef>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "nn/dynamic_linear.hpp"

using vq::index_type;

TEMPLATE_TEST_CASE("dynamic linear: the floats of the definition on registers", "[simd]",
                   std::int8_t, std::uint8_t) {
  direct::random r(53);
  for (int i = 0; i < 150; ++i) {
    const dynamic::problem<TestType> p(r, 20, i % 3 == 0 ? 300 : 90);
    CAPTURE(i, p.rows, p.inputs, p.outputs);
    REQUIRE(dynamic::outputs(vq::simd::native, p) == dynamic::definition(p));
  }
}

// Runs the tasks from the last to the first.
struct three_workers {
  static index_type workers() noexcept { return 3; }
  template <class F>
  void operator()(index_type tasks, F&& f) const noexcept {
    for (index_type task = tasks; task-- > 0;) f(task, task % 3);
  }
};

TEST_CASE("dynamic linear: any strides of the output, any number of workers", "[simd]") {
  direct::random r(59);
  for (int i = 0; i < 60; ++i) {
    const dynamic::problem<std::int8_t> p(r, 30, 140);
    const auto want = dynamic::definition(p);
    const bool transposed = r.between(0, 1) == 0;
    const index_type gap = r.between(0, 4);
    const vq::shape_type<2> strides =
        transposed ? vq::shape_type<2>{1, p.rows + gap} : vq::shape_type<2>{p.outputs + gap, 1};
    std::vector<float> y(static_cast<std::size_t>((p.rows + gap) * (p.outputs + gap)));
    const vq::tensor_view<float, 2> out{y.data(), {p.rows, p.outputs}, strides};
    REQUIRE(dynamic::run(vq::simd::native, p, p.view(), out, three_workers{}) == vq::status::ok);
    CAPTURE(i, transposed, gap);
    for (index_type m = 0; m < p.rows; ++m) {
      for (index_type o = 0; o < p.outputs; ++o) {
        REQUIRE(out(m, o) == want[static_cast<std::size_t>(m * p.outputs + o)]);
      }
    }
  }
}
