// The weights of a checkpoint, whatever form they lie in: one entry for a weight that is six tensors
// of bitsandbytes, one for a tensor of halves.
//
//   const auto stored = stored_model::read(checkpoint);
//   for (const stored_weight& w : stored->weights()) ...   // name, type, shape, component, format
//   const auto values = weight_values::open(checkpoint, w);
//   values->load(first, floats);                           // dequantized
//
// What it says about formats is what the file holds, not what a configuration claims.
#ifndef TOOL_STORED_MODEL_HPP
#define TOOL_STORED_MODEL_HPP

#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/bitsandbytes.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/plan/assignment.hpp>

#include "weight_menu.hpp"

namespace tool {

using vq::index_type;

// type and shape are those of the weight, not of its codes.
struct stored_weight : vq::assigned_tensor {
  enum class form { plain, four_bit, llm_int8, menu } stored_as = form::plain;
  std::vector<const vq::checkpoint_tensor*> parts;
};

class stored_model {
 public:
  // The checkpoint must outlive it. Errors: what is wrong with a quantized weight.
  static vq::result<stored_model, vq::failure> read(const vq::checkpoint& model);

  // In the order of the files.
  std::span<const stored_weight> weights() const noexcept { return weights_; }
  // Null where there is none.
  const stored_weight* find(std::string_view name) const noexcept;

  // For vq::summarize.
  vq::assignment plan() const;

 private:
  std::vector<stored_weight> weights_;
  std::vector<std::size_t> by_name_;
};

class weight_values {
 public:
  // Errors: what is wrong with a quantized weight; type_mismatch (no floats).
  static vq::result<weight_values, vq::failure> open(const vq::checkpoint& model,
                                                     const stored_weight& weight);

  // Values [first, first + out.size()), before any rounding to the weight's type.
  vq::status load(index_type first, std::span<float> out) const;

 private:
  using any_view =
      std::variant<const vq::tensor_entry*, vq::four_bit_view, vq::llm_int8_view, load_values>;
  explicit weight_values(any_view view) : view_(std::move(view)) {}

  any_view view_;
};

}  // namespace tool

#endif
