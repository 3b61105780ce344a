// The models and images of examples/models, opened; a test that cannot open them fails.
#ifndef VQ_TESTS_ENGINE_BUNDLED_HPP
#define VQ_TESTS_ENGINE_BUNDLED_HPP

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "engine/float_executor.hpp"
#include "engine/graph_passes.hpp"
#include "engine/image_set.hpp"
#include "engine/model.hpp"

namespace bundled {

using engine::index_type;

// Images per test. Without optimization a network is a hundred times slower.
#if defined(__OPTIMIZE__)
inline constexpr index_type image_count = 64;
#else
inline constexpr index_type image_count = 4;
#endif

// What a result that may fail holds; the test fails with its sentence.
template <class T>
T require(vq::result<T, vq::failure> r) {
  INFO((r ? "" : vq::describe(r.error())));
  REQUIRE(r);
  return *std::move(r);
}

inline std::filesystem::path folder() {
  return std::filesystem::path(__FILE__).parent_path() / "../../examples/models";
}
inline engine::model model(const std::string& name) {
  return require(engine::load_model(folder() / name));
}
inline engine::image_set test_images(const engine::model& m) {
  return require(engine::image_set::open(folder() / "data/cifar10-test.safetensors", m));
}
inline engine::image_set calibration_images(const engine::model& m) {
  return require(engine::image_set::open(folder() / "data/cifar10-calib.safetensors", m));
}

// With batch norms folded and activations fused.
inline engine::graph folded(const engine::graph& g) {
  return engine::fuse_activations(require(engine::fold_batch_norms(g)).network);
}

// Output of a network for some images, one after the other.
template <class Network>
std::vector<float> logits(const Network& network, const engine::image_set& images,
                          index_type count) {
  auto memory = network.workspace();
  std::vector<float> all;
  for (index_type i = 0; i < count; ++i) {
    const auto row = network.run(images.read(i), memory);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

// max |a - b| <= tolerance * max |reference|
inline void require_close(std::span<const float> values, std::span<const float> reference,
                          float tolerance) {
  REQUIRE(values.size() == reference.size());
  float difference = 0, largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float error = values[i] - reference[i];
    const float magnitude = reference[i] < 0 ? -reference[i] : reference[i];
    difference = std::max(difference, error < 0 ? -error : error);
    largest = std::max(largest, magnitude);
  }
  CAPTURE(difference, largest);
  REQUIRE(difference <= tolerance * largest);
}

}  // namespace bundled

#endif
