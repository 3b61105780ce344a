// Every verdict on the layers of the bundled networks against the integer path itself: sums as the
// target adds them, and what vq's kernels compute, on the inputs that drive sums to their ends.
#include "engine/safety/integer_layers.hpp"

#include <cstdint>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "engine/bundled.hpp"
#include "engine/int8_layer.hpp"
#include "engine/integer_kernel.hpp"
#include "engine/safety/quantized_model.hpp"

namespace {

using engine::at;
using engine::index_type;

#if defined(__OPTIMIZE__)
constexpr index_type outputs_tried = 16;
#else
constexpr index_type outputs_tried = 2;
#endif

engine::quantized_graph quantized(const std::string& name) {
  return bundled::require(engine::quantize_model(bundled::folder() / name, {}, 2, 1));
}

std::int64_t wrapped(std::int64_t x, int bits) {
  const std::int64_t size = std::int64_t{1} << bits;
  const std::int64_t rest = ((x % size) + size) % size;
  return rest >= size / 2 ? rest - size : rest;
}

std::int64_t product(std::span<const std::int8_t> w, const std::vector<std::int32_t>& x) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < w.size(); ++i) sum += std::int64_t{w[i]} * x[i];
  return sum;
}

// Neighbours in a narrow type, sums of them in the accumulator.
bool exact_on(const vq::integer_target& target, std::span<const std::int8_t> w,
              const std::vector<std::int32_t>& x) {
  const std::size_t step = at(target.neighbours);
  std::int64_t accumulator = 0;
  for (std::size_t i = 0; i < w.size(); i += step) {
    std::int64_t sum = 0;
    for (std::size_t k = i; k < std::min(w.size(), i + step); ++k) sum += std::int64_t{w[k]} * x[k];
    accumulator += wrapped(sum, target.neighbour_bits);
  }
  return wrapped(accumulator, target.accumulator_bits) == product(w, x);
}

// What the engine's kernel sums for an image that is as large as the window.
std::vector<std::int32_t> kernel_sums(const engine::quantized_graph& q,
                                      const engine::integer_weights& w, index_type output,
                                      const std::vector<std::int32_t>& x) {
  const auto* conv = std::get_if<engine::conv2d>(&q.network[w.node].op);
  const auto& shape = conv != nullptr ? conv->weight.shape
                                      : std::get<engine::linear>(q.network[w.node].op).weight.shape;
  const index_type groups = conv != nullptr ? conv->groups : 1;
  const index_type height = conv != nullptr ? shape[2] : 1, width = conv != nullptr ? shape[3] : 1;
  const auto prepared =
      engine::prepare_layer(*q.weights[at(w.node)], {shape[0], shape[1], height, width}, groups,
                            {1, w.inputs.zero_point}, {});
  REQUIRE(prepared);
  const index_type channels = shape[1] * groups;
  const index_type first = output / (shape[0] / groups) * shape[1];  // of the output's group
  std::vector<std::uint8_t> image(at(height * width * channels));
  for (index_type i = 0; i < std::ssize(x); ++i) {
    image[at(i / shape[1] * channels + first + i % shape[1])] = static_cast<std::uint8_t>(x[at(i)]);
  }
  const engine::shape_type from{height, width, channels}, to{1, 1, shape[0]};
  const auto view = engine::as_nchw<const std::uint8_t>(image.data(), from);
  const auto& packed = prepared->weights->view;
  std::vector<std::int32_t> workspace(
      at(vq::conv2d_workspace(vq::simd::native, view, packed, vq::window2d{})));
  std::vector<std::int32_t> sums(at(shape[0]));
  const auto s = vq::conv2d(vq::simd::native, view, w.inputs.zero_point, packed, {}, vq::window2d{},
                            vq::to_accumulators{}, engine::as_nchw(sums.data(), to), workspace);
  REQUIRE(s == vq::status::ok);
  return sums;
}

}  // namespace

TEST_CASE("integer layers: every verdict is what adversarial inputs do", "[engine]") {
  const char* name = GENERATE("resnet20", "mobilenetv2", "vit");
  CAPTURE(name);
  const auto q = quantized(name);
  const auto layers = engine::integer_layers(q);
  REQUIRE(layers.size() >= 22);
  index_type unsafe = 0;
  for (const auto& w : layers) {
    const auto layer = w.layer();
    for (const auto& target : vq::integer_targets::all) {
      const auto report = vq::check_integer_safety(layer, target);
      bool exact = true;  // on every output
      for (index_type n = 0; n < w.outputs; ++n) {
        exact = exact && exact_on(target, layer.row(n), vq::worst_input(layer, n, true)) &&
                exact_on(target, layer.row(n), vq::worst_input(layer, n, false));
      }
      bool sums_hold = true;
      for (const auto& b : report.bounds) {
        const bool of_sums =
            b.what == vq::overflow_check::neighbours || b.what == vq::overflow_check::accumulator;
        sums_hold = sums_hold && (b.safe() || !of_sums);
      }
      CAPTURE(w.name, target.name);
      CHECK(exact == sums_hold);
      unsafe += report.safe() ? 0 : 1;
    }
    CHECK(vq::check_integer_safety(layer, vq::integer_targets::widened).safe());
  }
  CHECK(unsafe > 0);  // the test can fail: 16-bit sums of neighbours do overflow
}

TEST_CASE("integer layers: vq's kernels give the exact sums at both ends", "[engine]") {
  const char* name = GENERATE("resnet20", "mobilenetv2", "vit");
  CAPTURE(name);
  const auto q = quantized(name);
  for (const auto& w : engine::integer_layers(q)) {
    const auto layer = w.layer();
    const index_type step = std::max<index_type>(1, w.outputs / outputs_tried);
    for (index_type n = 0; n < w.outputs; n += step) {
      for (const bool highest : {true, false}) {
        const auto x = vq::worst_input(layer, n, highest);
        std::int64_t expected = product(layer.row(n), x);
        for (const std::int8_t code : layer.row(n))
          expected -= std::int64_t{code} * w.inputs.zero_point;
        CAPTURE(w.name, n, highest);
        REQUIRE(kernel_sums(q, w, n, x)[at(n)] == expected);
      }
    }
  }
}
