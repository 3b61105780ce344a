// A recipe applied to the tensors of a model: what each of them becomes, and why.
//
//   const auto formats = vq::formats_of<vq::weight_formats>();
//   const auto plan = vq::apply(recipe, tensors, formats, {.cross_attention_layers = {3, 8}});
//   if (!plan) return report(vq::describe(plan.error()));
//   for (const auto& t : plan->tensors) use(t.name, t.format);    // "keep", "nf4-block64-dq256"
//
// Only weights of layers can be quantized: `.weight` of rank 2 that is no table, and convolutions
// where a rule means them. Biases, norms, tables and scalars stay, whatever a rule says of their
// component. Head and connector are protected: a rule quantizes them only if it names them.
// Errors, each a sentence that names recipe and rule: an unknown format; a rule that hits no tensor,
// or none that earlier rules left, or none that can be quantized; a recipe that quantizes nothing
// although it means to.
#ifndef VQ_PLAN_ASSIGNMENT_HPP
#define VQ_PLAN_ASSIGNMENT_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/plan/component.hpp>
#include <vq/plan/name_layout.hpp>
#include <vq/plan/recipe.hpp>
#include <vq/plan/weight_format.hpp>

namespace vq::inline v1 {

enum class weight_kind : std::uint8_t {
  linear,
  convolution,
  fused_attention,  // read by the attention itself, not called as a layer
  other,            // bias, norm, table, scalar
};

struct assigned_tensor : tensor_info {
  component part = component::language_model;
  weight_kind kind = weight_kind::other;
  std::string format{keep_format};
  index_type rule = -1;     // of the recipe, from 0; -1: none hit it
  std::uint64_t bytes = 0;  // as stored in this format

  bool quantized() const noexcept { return !is_unquantized(format); }
};

struct assignment {
  recipe used;
  std::vector<assigned_tensor> tensors;  // in the order given
  std::vector<std::string> warnings;

  // Why a tensor has its format.
  std::string reason(const assigned_tensor& t) const {
    if (t.rule < 0) return "no rule hits it";
    return sentence("rule ", t.rule + 1, ": ", used.rules[static_cast<std::size_t>(t.rule)].text());
  }
};

namespace detail {

// Rank-2 weights that are looked up, not multiplied.
constexpr bool is_table(std::string_view module_name) noexcept {
  const std::string_view last = module_name.substr(module_name.rfind('.') + 1);
  constexpr std::string_view tables[] = {"wte",           "wpe",   "token_embd",
                                         "position_embd", "probe", "relative_position_bias_table"};
  return last.find("embedding") != std::string_view::npos ||
         last.find("embed_tokens") != std::string_view::npos || last.ends_with("_embed") ||
         std::ranges::find(tables, last) != std::ranges::end(tables);
}

inline weight_kind kind_of(const tensor_info& t, const std::set<std::string_view>& names) {
  const std::size_t rank = t.shape.size();
  const int bits = bits_of(t.type);
  const bool real =
      t.type == dtype::f16 || t.type == dtype::bf16 || t.type == dtype::f32 || t.type == dtype::f64;
  if (!real || bits < 16 || rank < 2 || t.size() == 0 || !t.name.ends_with(".weight")) {
    return weight_kind::other;
  }
  if (rank > 2) return rank <= 5 ? weight_kind::convolution : weight_kind::other;
  const std::string_view module_name = module_of(t.name);
  if (is_table(module_name)) return weight_kind::other;
  if (module_name.ends_with(".out_proj")) {  // torch.nn.MultiheadAttention
    const std::string fused(module_name.substr(0, module_name.size() - 8));
    if (names.contains(fused + "in_proj_weight")) return weight_kind::fused_attention;
  }
  return weight_kind::linear;
}

// A rule means the head or the connector if it says so, not if it sweeps over them.
inline bool rule_names(const recipe_rule& rule, component c) {
  if (rule.part) return *rule.part == c;
  const auto mentions = [&](auto& words) {
    return std::ranges::any_of(
        words, [&](std::string_view word) { return rule.pattern.find(word) != std::string::npos; });
  };
  if (c == component::connector) {
    return mentions(component_words::connector) || rule.pattern.starts_with("mm.");
  }
  constexpr std::string_view head[] = {"lm_head"};
  return mentions(head) || component_words::is_head(rule.pattern);
}

class recipe_application {
 public:
  recipe_application(const recipe& used, std::span<const weight_format> formats)
      : formats_(formats) {
    plan_.used = used;
  }

  result<assignment, failure> run(std::vector<tensor_info> tensors, const model_facts& facts) {
    std::vector<std::string_view> in_order;
    for (const tensor_info& t : tensors) in_order.push_back(t.name);
    const std::vector<component> parts = classify_all(in_order, facts);
    const std::set<std::string_view> names(in_order.begin(), in_order.end());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      assigned_tensor t{tensors[i]};
      t.part = parts[i];
      t.kind = kind_of(tensors[i], names);
      plan_.tensors.push_back(std::move(t));
    }
    for (index_type r = 0; r < static_cast<index_type>(plan_.used.rules.size()); ++r) {
      if (auto wrong = apply_rule(r)) return *std::move(wrong);
    }
    if (auto wrong = count_bytes()) return *std::move(wrong);
    warn();
    return std::move(plan_);
  }

 private:
  failure refuse(index_type rule, std::string_view text) const {
    return {status::bad_argument,
            sentence("recipe ", in_quotes(plan_.used.name), ": rule ", rule + 1, " (",
                     plan_.used.rules[static_cast<std::size_t>(rule)].text(), ") ", text)};
  }

  // Which of the selected tensors a quantizing rule takes, and how many it must leave.
  std::optional<failure> apply_rule(index_type number) {
    const recipe_rule& rule = plan_.used.rules[static_cast<std::size_t>(number)];
    const bool keeps = is_unquantized(rule.format);
    if (!keeps && find_format(formats_, rule.format) == nullptr) {
      return failure{status::bad_argument,
                     sentence("recipe ", in_quotes(plan_.used.name), ": rule ", number + 1, ": ",
                              unknown_format(formats_, rule.format))};
    }
    std::vector<assigned_tensor*> selected;
    bool only_convolutions = !rule.pattern.empty();
    for (assigned_tensor& t : plan_.tensors) {
      if (!rule.selects(t.part, t.name)) continue;
      selected.push_back(&t);
      only_convolutions = only_convolutions && t.kind != weight_kind::linear;
    }
    const bool convolutions = rule.convolutions || only_convolutions;
    index_type hits = 0, taken_before = 0, is_protected = 0, skipped_convolutions = 0;
    for (assigned_tensor* t : selected) {
      const bool fits = keeps || t->kind == weight_kind::linear ||
                        (t->kind == weight_kind::convolution && convolutions);
      if (!fits) {
        if (t->kind == weight_kind::convolution) ++skipped_convolutions;
        if (t->kind == weight_kind::fused_attention) ++fused_attention_;
        continue;
      }
      if (t->rule >= 0) {
        ++taken_before;
      } else if (!keeps && (t->part == component::head || t->part == component::connector) &&
                 !rule_names(rule, t->part)) {
        ++is_protected;
      } else {
        ++hits;
        t->rule = number;
        t->format = rule.format;
      }
    }
    if (is_protected > 0) {
      plan_.warnings.push_back(sentence("rule ", number + 1, " (", rule.text(), ") sweeps over ",
                                        is_protected,
                                        " weights of head or connector; they stay as they are, "
                                        "because it does not name them"));
    }
    if (hits > 0 || rule.optional) return std::nullopt;
    if (taken_before > 0) {
      return refuse(number, sentence("hits nothing that earlier rules left: they took all ",
                                     taken_before, " of its tensors"));
    }
    if (is_protected > 0) {
      return refuse(number, "hits head or connector only and does not name them");
    }
    if (selected.empty()) return refuse(number, no_hit(rule));
    return refuse(
        number,
        sentence(
            "hits ", selected.size(), " tensors, none of which is the weight of a linear layer",
            skipped_convolutions == 0 ? "" : "; add \"convolutions\": true to quantize those"));
  }

  std::string no_hit(const recipe_rule& rule) const {
    std::string there;
    for (std::size_t c = 0; c < component_names.size(); ++c) {
      if (std::ranges::find(plan_.tensors, static_cast<component>(c), &assigned_tensor::part) !=
          plan_.tensors.end()) {
        there += sentence(there.empty() ? "" : ", ", component_names[c]);
      }
    }
    std::string text = sentence("hits no tensor of ", plan_.tensors.size(), "; the model has ",
                                there.empty() ? "none" : there);
    if (!rule.pattern.empty() && !plan_.tensors.empty()) {
      text += sentence(", names like ", in_quotes(plan_.tensors[plan_.tensors.size() / 2].name));
    }
    return text;
  }

  std::optional<failure> count_bytes() {
    bool quantizes = false;
    for (assigned_tensor& t : plan_.tensors) {
      const auto converted = converted_type(t.format);
      const bool real = t.type == dtype::f16 || t.type == dtype::bf16 || t.type == dtype::f32 ||
                        t.type == dtype::f64;
      if (converted && !real) t.format = keep_format;  // integers, bool, bytes
      if (t.quantized()) {
        quantizes = true;
        t.bytes = find_format(formats_, t.format)->stored_bytes(as_matrix(t.shape));
      } else {
        t.bytes = converted && real ? tensor_info{t.name, *converted, t.shape}.stored_bytes()
                                    : t.stored_bytes();
      }
    }
    const bool meant = std::ranges::any_of(
        plan_.used.rules, [](const recipe_rule& r) { return !is_unquantized(r.format); });
    if (quantizes || !meant) return std::nullopt;
    return failure{status::bad_argument, sentence("recipe ", in_quotes(plan_.used.name),
                                                  ": no rule quantizes anything in this model")};
  }

  void warn() {
    index_type narrow = 0;
    for (const assigned_tensor& t : plan_.tensors) {
      if (!t.quantized() || t.part != component::vision) continue;
      if (find_format(formats_, t.format)->bits <= 4) ++narrow;
    }
    if (narrow > 0) {
      plan_.warnings.push_back(sentence(narrow,
                                        " weights of the vision tower get 4 bits or fewer: vision "
                                        "towers are fragile, measure before you rely on it"));
    }
    if (fused_attention_ > 0) {
      plan_.warnings.push_back(
          "an attention reads the weight of its out_proj directly (in_proj_weight beside it); it "
          "stays as it is");
    }
  }

  std::span<const weight_format> formats_;
  assignment plan_;
  index_type fused_attention_ = 0;
};

}  // namespace detail

// Tensors: any range of tensor_info or of what derives from it, all tensors of the model.
template <class Tensors>
result<assignment, failure> apply(const recipe& used, const Tensors& tensors,
                                  std::span<const weight_format> formats,
                                  const model_facts& facts = {}) {
  std::vector<tensor_info> infos;
  for (const tensor_info& t : tensors) infos.push_back(t);
  return detail::recipe_application(used, formats).run(std::move(infos), facts);
}

}  // namespace vq::inline v1

#endif
