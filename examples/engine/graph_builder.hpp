// Builds a graph layer by layer from the tensors of a safetensors file.
//
// The first thing that goes wrong is remembered, everything after it is ignored, and build() tells:
// a network is so written without a check after every line.
#ifndef ENGINE_GRAPH_BUILDER_HPP
#define ENGINE_GRAPH_BUILDER_HPP

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/io/safetensors_reader.hpp>

#include "engine/graph.hpp"
#include "engine/tensor_loading.hpp"

namespace engine {

struct conv_shape {
  index_type in, out, kernel;
  index_type stride = 1;
  index_type groups = 1;
};

class graph_builder {
 public:
  explicit graph_builder(const vq::safetensors_file& weights) : file_(weights) {}

  index_type input(shape_type shape) {
    graph_.nodes.push_back({"input", "", engine::input{}, {}, std::move(shape)});
    return 0;
  }

  // Without bias, padded so that stride 1 keeps the size. `layer` is what the tensor's name begins
  // with and the node's name.
  index_type conv2d(index_type from, const std::string& layer, const conv_shape& s) {
    engine::conv2d op;
    op.weight = load(layer + ".weight", {s.out, s.in / s.groups, s.kernel, s.kernel});
    op.stride = s.stride;
    op.padding = s.kernel / 2;
    op.groups = s.groups;
    return add_node({layer, layer, std::move(op), {from}, {}});
  }

  // `name` is what the output is called; `layer` what the tensors' names begin with.
  index_type batch_norm(index_type from, const std::string& layer, float epsilon,
                        const std::string& name = {}) {
    const index_type channels = failed() ? 0 : graph_[from].shape.back();
    const auto values = [&](const char* part) { return load(layer + part, {channels}).values; };
    engine::batch_norm op{values(".weight"), values(".bias"), values(".running_mean"),
                          values(".running_var"), epsilon};
    for (const float variance : op.variance) {
      if (variance < 0) refuse(layer + ".running_var", "a variance is negative");
    }
    return add_node({name.empty() ? layer : name, layer, std::move(op), {from}, {}});
  }

  index_type linear(index_type from, const std::string& layer, index_type in, index_type out) {
    engine::linear op;
    op.weight = load(layer + ".weight", {out, in});
    op.bias = load(layer + ".bias", {out}).values;
    return add_node({layer, layer, std::move(op), {from}, {}});
  }

  // Without overlap: the stride is the size of the patch.
  index_type patches(index_type from, const std::string& layer, const conv_shape& s) {
    engine::conv2d op;
    op.weight = load(layer + ".weight", {s.out, s.in, s.kernel, s.kernel});
    op.bias = load(layer + ".bias", {s.out}).values;
    op.stride = s.stride;
    return add_node({layer, layer, std::move(op), {from}, {}});
  }

  // `layer`.cls_token and .position_embeddings.
  index_type to_tokens(index_type from, const std::string& layer) {
    if (failed()) return 0;
    const shape_type& patches = graph_[from].shape;
    const index_type tokens = patches[0] * patches[1] + 1, features = patches[2];
    engine::to_tokens op;
    op.class_token = load(layer + ".cls_token", {1, 1, features}).values;
    op.positions = load(layer + ".position_embeddings", {1, tokens, features});
    op.positions.shape = {tokens, features};
    return add_node({layer, layer, std::move(op), {from}, {}});
  }

  index_type layer_norm(index_type from, const std::string& layer, float epsilon) {
    const index_type features = failed() ? 0 : graph_[from].shape.back();
    return add_node({layer,
                     layer,
                     engine::layer_norm{load(layer + ".weight", {features}).values,
                                        load(layer + ".bias", {features}).values, epsilon},
                     {from},
                     {}});
  }

  // An operation without tensors of its own.
  index_type apply(operation op, std::vector<index_type> from, const std::string& name) {
    return add_node({name, "", std::move(op), std::move(from), {}});
  }

  index_type activation(index_type from, const std::string& name, vq::range clamp) {
    return add_node({name, "", engine::activation{clamp}, {from}, {}});
  }
  index_type add(index_type a, index_type b, const std::string& name) {
    return add_node({name, "", engine::add{}, {a, b}, {}});
  }
  index_type global_average_pool(index_type from, const std::string& name) {
    return add_node({name, "", engine::global_average_pool{}, {from}, {}});
  }

  // Errors: not_found, type_mismatch, size_mismatch, not_finite, with file, tensor and rule.
  vq::result<graph, vq::failure> build() && {
    if (failed()) return *std::move(error_);
    return std::move(graph_);
  }

 private:
  bool failed() const { return error_.has_value(); }
  void fail(vq::failure why) {
    if (!failed()) error_ = std::move(why);
  }
  void refuse(std::string_view tensor, std::string_view rule) {
    fail({vq::status::bad_format,
          vq::sentence(file_.name(), ": tensor ", vq::in_quotes(tensor), ": ", rule)});
  }

  index_type add_node(node added) {
    if (failed()) return 0;
    auto number = append(graph_, std::move(added));
    if (number) return *number;
    fail({number.error().code, vq::sentence(file_.name(), ": ", number.error().message)});
    return 0;
  }

  tensor load(const std::string& name, const shape_type& shape) {
    if (failed()) return {};
    auto values = load_floats(file_, name, shape);
    if (!values) return fail(values.error()), tensor{};
    return {shape, *std::move(values)};
  }

  const vq::safetensors_file& file_;
  graph graph_;
  std::optional<vq::failure> error_;
};

}  // namespace engine

#endif
