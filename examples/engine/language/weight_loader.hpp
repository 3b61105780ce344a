// Takes the tensors of a model from a safetensors file, each in the format that it shall have.
//
// The first thing that goes wrong is remembered, everything after it is ignored: check error() once,
// when the model is built.
#ifndef ENGINE_LANGUAGE_WEIGHT_LOADER_HPP
#define ENGINE_LANGUAGE_WEIGHT_LOADER_HPP

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/io/safetensors_reader.hpp>
#include <vq/plan/weight_format.hpp>

#include "engine/language/normalization.hpp"
#include "engine/language/quantized_weight.hpp"
#include "engine/simulated_weight.hpp"
#include "engine/tensor_loading.hpp"

namespace engine {

// The format of each tensor that is not kept as the file has it.
using tensor_formats = std::map<std::string, std::string, std::less<>>;

// How many layers with a format of their own run in kernels, and how many are simulated.
struct layer_count {
  int packed = 0, simulated = 0;
};

class weight_loader {
 public:
  weight_loader(const vq::safetensors_file& file, const tensor_formats& formats, weight_path path)
      : file_(file), formats_(formats), path_(path) {}

  bool ok() const { return !error_.has_value(); }
  // not_found, type_mismatch, size_mismatch, not_finite, with file, tensor and rule.
  const std::optional<vq::failure>& error() const { return error_; }
  const layer_count& layers() const { return layers_; }

  std::vector<float> vector(const std::string& name, index_type size) { return load(name, {size}); }

  float scalar(const std::string& name) {
    const auto values = load(name, {});
    return values.empty() ? 0 : values[0];
  }

  // A table of floats, whatever the formats say: embeddings.
  matrix table(const std::string& name, index_type rows, index_type columns) {
    return as_matrix(load(name, {rows, columns}), rows, columns);
  }

  row_layer_norm layer_norm(const std::string& layer, index_type features, float epsilon) {
    return {vector(layer + ".weight", features), vector(layer + ".bias", features), epsilon};
  }
  row_rms_norm rms_norm(const std::string& layer, index_type features, float epsilon) {
    return {vector(layer + ".weight", features), epsilon};
  }

  // With a bias, and without.
  linear_layer linear(const std::string& layer, index_type in, index_type out) {
    return {weight(layer + ".weight", {out, in}), vector(layer + ".bias", out)};
  }
  linear_layer projection(const std::string& layer, index_type in, index_type out) {
    return {weight(layer + ".weight", {out, in}), {}};
  }

  // A convolution without overlap and bias, as a matrix that multiplies patches (colour, y, x).
  linear_layer patches(const std::string& layer, index_type out, index_type colours,
                       index_type size) {
    return {weight(layer + ".weight", {out, colours, size, size}), {}};
  }

 private:
  void fail(vq::failure why) {
    if (ok()) error_ = std::move(why);
  }
  static matrix as_matrix(const std::vector<float>& values, index_type rows, index_type columns) {
    if (values.empty()) return {};
    return Eigen::Map<const matrix>(values.data(), rows, columns);
  }

  weight_matrix weight(const std::string& name, const shape_type& shape) {
    const auto values = load(name, shape);
    if (!ok()) return {};
    const matrix floats = as_matrix(values, shape[0], volume(shape) / shape[0]);
    const auto format = formats_.find(name);
    if (format == formats_.end() || vq::is_unquantized(format->second)) return floats;
    auto quantized = quantize_weight(floats, format->second, path_);
    if (quantized) {
      ++(std::holds_alternative<packed_weight>(*quantized) ? layers_.packed : layers_.simulated);
      return *std::move(quantized);
    }
    fail({vq::status::bad_format,
          vq::sentence(file_.name(), ": tensor ", vq::in_quotes(name), ": format ",
                       vq::in_quotes(format->second), ": ", vq::describe(quantized.error()))});
    return {};
  }

  std::vector<float> load(const std::string& name, const shape_type& shape) {
    if (!ok()) return {};
    auto values = load_floats(file_, name, shape);
    if (!values) return fail(values.error()), std::vector<float>{};
    const auto format = formats_.find(name);
    if (format != formats_.end()) round_to(format->second, *values);
    return *std::move(values);
  }

  const vq::safetensors_file& file_;
  const tensor_formats& formats_;
  weight_path path_;
  layer_count layers_;
  std::optional<vq::failure> error_;
};

}  // namespace engine

#endif
