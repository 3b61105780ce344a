// The models and images of examples/models, opened; a test that cannot open them fails.
#ifndef VQ_TESTS_ENGINE_BUNDLED_HPP
#define VQ_TESTS_ENGINE_BUNDLED_HPP

#include <filesystem>
#include <string>
#include <utility>

#include "catch.hpp"
#include "engine/image_set.hpp"
#include "engine/model.hpp"

namespace bundled {

inline std::filesystem::path folder() {
  return std::filesystem::path(__FILE__).parent_path() / "../../examples/models";
}

inline engine::model model(const std::string& name) {
  auto loaded = engine::load_model(folder() / name);
  INFO((loaded ? "" : vq::describe(loaded.error())));
  REQUIRE(loaded);
  return *std::move(loaded);
}

inline engine::image_set images(const std::string& file, const engine::model& m) {
  auto opened = engine::image_set::open(folder() / "data" / file, m);
  INFO((opened ? "" : vq::describe(opened.error())));
  REQUIRE(opened);
  return *std::move(opened);
}
inline engine::image_set test_images(const engine::model& m) {
  return images("cifar10-test.safetensors", m);
}
inline engine::image_set calibration_images(const engine::model& m) {
  return images("cifar10-calib.safetensors", m);
}

}  // namespace bundled

#endif
