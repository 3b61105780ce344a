#include "stored_model.hpp"

#include <algorithm>
#include <string>

#include <vq/io/quantized_checkpoint.hpp>
#include <vq/io/stored_floats.hpp>
#include <vq/simd.hpp>

#include "model_plan.hpp"

namespace tool {

namespace {

constexpr std::string_view state_infix = ".quant_state.bitsandbytes__";

struct owner {
  std::string weight;  // the tensor of codes
  stored_weight::form form = stored_weight::form::plain;
};

// The weight that a tensor belongs to: itself, or the one whose codes it helps to decode.
owner owner_of(const vq::checkpoint& model, const std::string& name) {
  using enum stored_weight::form;
  if (const std::size_t at = name.find(state_infix); at != std::string::npos) {
    return {name.substr(0, at), four_bit};
  }
  for (const std::string_view suffix :
       {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"}) {
    if (!name.ends_with(suffix)) continue;
    std::string weight = name.substr(0, name.size() - suffix.size());
    if (vq::is_four_bit(model, weight)) return {std::move(weight), four_bit};
  }
  if (vq::is_four_bit(model, name)) return {name, four_bit};
  for (const std::string_view suffix : {".weight", ".SCB", ".weight_format"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string linear = name.substr(0, name.size() - suffix.size());
    if (vq::is_llm_int8(model, linear)) return {linear + ".weight", llm_int8};
  }
  for (const std::string_view suffix :
       {".codes", ".scales", ".zero_points", ".params", ".levels", ".nested_scales",
        ".nested_levels", ".nested_offset", ".quantizer"}) {
    if (!name.ends_with(suffix)) continue;
    std::string weight = name.substr(0, name.size() - suffix.size());
    if (vq::is_quantized(model, weight)) return {std::move(weight), menu};
  }
  return {name, plain};
}

// Of a weight without its type, shape and format: reads them from what lies beside the codes.
std::optional<vq::failure> describe_weight(const vq::checkpoint& model, stored_weight& w) {
  using enum stored_weight::form;
  if (w.stored_as == four_bit) {
    const auto view = vq::find_four_bit(model, w.name);
    if (!view) return view.error();
    w.type = view->state.type;
    w.shape = view->shape;
    w.format = vq::sentence(name_of(view->state.quant_type), "-block", view->state.blocksize);
    if (view->state.nested) w.format += vq::sentence("-dq", view->state.nested_blocksize);
  } else if (w.stored_as == llm_int8) {
    constexpr std::size_t suffix = std::string_view(".weight").size();
    const auto view = vq::find_llm_int8(model, w.name.substr(0, w.name.size() - suffix));
    if (!view) return view.error();
    w.type = vq::dtype::f16;  // what its codes were before is not written down
    w.shape = {view->shape[0], view->shape[1]};
    w.format = "int8-channel";
  } else if (w.stored_as == menu) {
    const auto description = vq::find_description(model, w.name);
    if (!description) return description.error();
    w.type = description->type;
    w.shape = description->shape;
    w.format = description->format;
  } else {
    w.type = w.parts.front()->type;
    w.shape = w.parts.front()->shape;
  }
  return std::nullopt;
}

}  // namespace

vq::result<stored_model, vq::failure> stored_model::read(const vq::checkpoint& model) {
  stored_model found;
  std::map<std::string, std::size_t> place;
  for (const vq::checkpoint_tensor& tensor : model.tensors()) {
    const owner of = owner_of(model, tensor.name);
    const auto [at, is_new] = place.emplace(of.weight, found.weights_.size());
    if (is_new) {
      stored_weight& w = found.weights_.emplace_back();
      w.name = of.weight;
      w.stored_as = of.form;
    }
    stored_weight& w = found.weights_[at->second];
    w.bytes += tensor.bytes.size();
    w.parts.push_back(&tensor);
  }
  std::vector<std::string_view> names;
  for (stored_weight& w : found.weights_) {
    if (auto wrong = describe_weight(model, w)) return *std::move(wrong);
    names.push_back(w.name);
  }
  const auto parts = vq::classify_all(names, facts_of(model));
  for (std::size_t i = 0; i < names.size(); ++i) {
    found.weights_[i].part = parts[i];
    found.by_name_.push_back(i);
  }
  std::sort(found.by_name_.begin(), found.by_name_.end(), [&](std::size_t a, std::size_t b) {
    return found.weights_[a].name < found.weights_[b].name;
  });
  return found;
}

const stored_weight* stored_model::find(std::string_view name) const noexcept {
  const auto at = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](std::size_t i, std::string_view wanted) { return weights_[i].name < wanted; });
  return at == by_name_.end() || weights_[*at].name != name ? nullptr : &weights_[*at];
}

vq::assignment stored_model::plan() const {
  vq::assignment all;
  all.tensors.assign(weights_.begin(), weights_.end());
  return all;
}

vq::result<weight_values, vq::failure> weight_values::open(const vq::checkpoint& model,
                                                           const stored_weight& weight) {
  using enum stored_weight::form;
  if (weight.stored_as == four_bit) {
    auto view = vq::find_four_bit(model, weight.name);
    if (!view) return view.error();
    return weight_values(any_view(*std::move(view)));
  }
  if (weight.stored_as == llm_int8) {
    constexpr std::size_t suffix = std::string_view(".weight").size();
    auto view = vq::find_llm_int8(model, weight.name.substr(0, weight.name.size() - suffix));
    if (!view) return view.error();
    return weight_values(any_view(*std::move(view)));
  }
  if (weight.stored_as == menu) {
    auto load = open_menu_format(model, weight.name);
    if (!load) return load.error();
    return weight_values(any_view(*std::move(load)));
  }
  if (!vq::holds_floats(weight.type)) {
    return vq::failure{vq::status::type_mismatch,
                       vq::sentence(model.name(), ": tensor ", vq::in_quotes(weight.name),
                                    ": dtype ", vq::name_of(weight.type), " holds no floats")};
  }
  return weight_values(any_view(static_cast<const vq::tensor_entry*>(weight.parts.front())));
}

vq::status weight_values::load(index_type first, std::span<float> out) const {
  return std::visit(
      [&](const auto& view) {
        using view_type = std::remove_cvref_t<decltype(view)>;
        if constexpr (std::is_same_v<view_type, load_values>) {
          return view(first, out);
        } else if constexpr (std::is_pointer_v<view_type>) {
          return vq::load_floats(vq::simd::native, *view, first, out);
        } else {
          return vq::load_floats(vq::simd::native, view, first, out);
        }
      },
      view_);
}

}  // namespace tool
