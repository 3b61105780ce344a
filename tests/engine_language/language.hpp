// The bundled CLIP and LLaVA, opened; a test that cannot open them fails.
#ifndef VQ_TESTS_ENGINE_LANGUAGE_LANGUAGE_HPP
#define VQ_TESTS_ENGINE_LANGUAGE_LANGUAGE_HPP

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/bundled.hpp"
#include "engine/language/clip_model.hpp"
#include "engine/language/llava_model.hpp"
#include "engine/language/mosaic_set.hpp"

namespace bundled {

using engine::matrix;

inline engine::mosaic_set mosaics() {
  return require(engine::mosaic_set::open(folder() / "data/mosaic-test.safetensors",
                                          folder() / "data/cifar10-test.safetensors"));
}

inline engine::opened_model files(const char* name) {
  return require(engine::opened_model::open(folder() / name, name));
}

template <class Model>
Model built(const char* name, const engine::tensor_formats& formats = {},
            engine::weight_path path = engine::weight_path::packed) {
  auto opened = files(name);
  return require(Model::build(opened, formats, path));
}

// What golden.safetensors says of a model.
inline std::vector<float> golden(const char* model, const char* tensor) {
  return *require(vq::safetensors_file::open(folder() / model / "golden.safetensors"))
              .to_floats(tensor);
}

inline std::span<const float> values(const matrix& m) { return {m.data(), engine::at(m.size())}; }

}  // namespace bundled

#endif
