// The list of modules that a loader of bitsandbytes checkpoints must leave alone.
//
//   const auto skip = vq::skip_modules(*assignment, formats);
//   config["quantization_config"]["llm_int8_skip_modules"] = skip->modules;
//   // vision_tower, model.vision_tower, multi_modal_projector, ..., lm_head
//
// Two loaders read one list by different rules, and each renames modules while it loads:
//
//   transformers   an entry, as a regular expression, matches the start of the module's name, or
//                  the name ends with it
//   vLLM           an entry is one of the dotted parts of the name, or all of it up to a dot; the
//                  names are those of vLLM, with q, k, v and gate, up fused into one
//
// So `vision_tower` does not skip transformers' `model.vision_tower`, and `layers.1` skips
// `layers.10`. The list made here has, for every layout of names, the shortest dotted beginnings
// below which everything stays, and none that hits a quantized module in any layout by any rule.
// It is never empty for a model with an output head: a list replaces the loaders' own protection
// of it, also where the head is tied and has no tensor.
#ifndef VQ_PLAN_SKIP_MODULES_HPP
#define VQ_PLAN_SKIP_MODULES_HPP

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/plan/assignment.hpp>
#include <vq/plan/name_layout.hpp>

namespace vq::inline v1 {

struct skip_list {
  std::vector<std::string> modules;
  std::vector<std::string> warnings;
};

// Does transformers leave this module alone? Entries are taken to have no special characters but
// dots, which stand for any character.
constexpr bool transformers_skips(std::string_view module_name, std::string_view entry) noexcept {
  if (module_name.ends_with(entry)) return true;
  if (entry.size() > module_name.size()) return false;
  for (std::size_t i = 0; i < entry.size(); ++i) {
    if (entry[i] != '.' && entry[i] != module_name[i]) return false;
  }
  return true;
}

// Does vLLM?
constexpr bool vllm_skips(std::string_view module_name, std::string_view entry) noexcept {
  bool found = false;
  for_each_part(module_name, [&](std::string_view part) { found = found || part == entry; });
  return found || (module_name.starts_with(entry) &&
                   (module_name.size() == entry.size() || module_name[entry.size()] == '.'));
}

namespace detail {

struct loaded_module {
  std::string name;
  bool kept = true;
};
using loaded_modules = std::vector<loaded_module>;

// The layers that a loader would quantize if it were not told otherwise. Tables of the vision tower
// count too: some of them are layers in disguise (SigLIP 2's patch embedding).
inline loaded_modules modules_of(const assignment& plan) {
  loaded_modules modules;
  bool has_head = false, has_decoder = false;
  for (const assigned_tensor& t : plan.tensors) {
    has_head = has_head || t.part == component::head;
    has_decoder = has_decoder || t.part == component::language_model;
    const bool layer = t.kind == weight_kind::linear || t.kind == weight_kind::fused_attention ||
                       t.part == component::vision;
    if (t.shape.size() != 2 || !layer || !t.name.ends_with(".weight")) continue;
    modules.push_back({std::string(module_of(t.name)), !t.quantized()});
  }
  if (has_decoder && !has_head) modules.push_back({"lm_head", true});
  return modules;
}

// vLLM's fused layers, and a sentence where it would need a part of one in two precisions.
inline void fuse_layers(loaded_modules& modules, std::vector<std::string>& warnings) {
  struct fusion {
    std::string_view part, whole;
  };
  constexpr std::array<fusion, 5> fusions{{{"q_proj", "qkv_proj"},
                                           {"k_proj", "qkv_proj"},
                                           {"v_proj", "qkv_proj"},
                                           {"gate_proj", "gate_up_proj"},
                                           {"up_proj", "gate_up_proj"}}};
  std::map<std::string, std::pair<bool, bool>> fused;  // any part kept, any part quantized
  for (const loaded_module& m : modules) {
    const std::size_t dot = m.name.rfind('.');
    if (dot == std::string::npos) continue;
    for (const fusion& f : fusions) {
      if (std::string_view(m.name).substr(dot + 1) != f.part) continue;
      auto& seen = fused[m.name.substr(0, dot + 1) + std::string(f.whole)];
      (m.kept ? seen.first : seen.second) = true;
    }
  }
  for (const auto& [name, seen] : fused) {
    if (seen.first && seen.second) {
      warnings.push_back(sentence("vLLM fuses ", in_quotes(name),
                                  ", whose parts have two precisions: it cannot load this"));
    } else {
      modules.push_back({name, seen.first});
    }
  }
}

class skip_search {
 public:
  explicit skip_search(const std::vector<loaded_modules>& layouts) : layouts_(layouts) {}

  std::optional<failure> add_layout(loaded_modules modules) {
    std::ranges::sort(modules, {}, &loaded_module::name);
    return cover(modules, 0);
  }
  std::vector<std::string> found;

 private:
  // All modules share the first `length` characters, which end before a part.
  std::optional<failure> cover(std::span<const loaded_module> modules, std::size_t length) {
    while (!modules.empty()) {
      const std::string& name = modules.front().name;
      const std::size_t end = (std::min)(name.find('.', length), name.size());
      const std::string_view begin = std::string_view(name).substr(0, end);
      std::size_t count = 0;
      bool all_kept = true, any_kept = false, deeper = false;
      while (count < modules.size() && starts_at_part(modules[count].name, begin)) {
        all_kept = all_kept && modules[count].kept;
        any_kept = any_kept || modules[count].kept;
        deeper = deeper || modules[count].name.size() > end;
        ++count;
      }
      if (all_kept && harmless(begin)) {
        if (std::ranges::find(found, begin) == found.end()) found.emplace_back(begin);
      } else if (any_kept && !deeper) {
        return failure{status::bad_argument,
                       sentence("module ", in_quotes(begin),
                                " stays as it is, but no entry of llm_int8_skip_modules skips it "
                                "without skipping a quantized module too")};
      } else if (any_kept) {
        if (auto wrong = cover(modules.first(count), end + 1)) return wrong;
      }
      modules = modules.subspan(count);
    }
    return std::nullopt;
  }

  static bool starts_at_part(std::string_view name, std::string_view begin) noexcept {
    return name.starts_with(begin) && (name.size() == begin.size() || name[begin.size()] == '.');
  }

  bool harmless(std::string_view entry) const {
    for (const loaded_modules& layout : layouts_) {
      for (const loaded_module& m : layout) {
        if (!m.kept && (transformers_skips(m.name, entry) || vllm_skips(m.name, entry))) {
          return false;
        }
      }
    }
    return true;
  }

  const std::vector<loaded_modules>& layouts_;
};

}  // namespace detail

// Whether a checkpoint of bitsandbytes can hold the plan: its formats, linear layers only, and
// either 4 or 8 bits. Errors: bad_argument.
inline std::optional<failure> refuse_for_bitsandbytes(const assignment& plan,
                                                      std::span<const weight_format> formats) {
  const assigned_tensor* first = nullptr;
  const auto bits = [&](const assigned_tensor& t) { return find_format(formats, t.format)->bits; };
  for (const assigned_tensor& t : plan.tensors) {
    if (!t.quantized()) continue;
    const auto refuse = [&](std::string_view rule) {
      return failure{status::bad_argument, sentence("tensor ", in_quotes(t.name), ": ", t.format,
                                                    " (", plan.reason(t), ") ", rule)};
    };
    const weight_format* format = find_format(formats, t.format);
    if (format == nullptr || !format->bitsandbytes) {
      return refuse("is no format of bitsandbytes; it has nf4, fp4 and int8-channel");
    }
    if (t.kind != weight_kind::linear) return refuse("but bitsandbytes has linear layers only");
    if (first == nullptr) first = &t;
    if (bits(t) != bits(*first)) {
      return refuse(sentence("and ", first->format, " of ", in_quotes(first->name),
                             " cannot stand in one checkpoint of bitsandbytes"));
    }
  }
  return std::nullopt;
}

// Errors: those of refuse_for_bitsandbytes; a module that no list can skip alone.
inline result<skip_list, failure> skip_modules(const assignment& plan,
                                               std::span<const weight_format> formats) {
  if (auto wrong = refuse_for_bitsandbytes(plan, formats)) return *std::move(wrong);
  skip_list list;
  const detail::loaded_modules stored = detail::modules_of(plan);
  const bool renamed = std::ranges::any_of(
      plan.tensors, [](const auto& t) { return t.part == component::language_model; });
  std::vector<detail::loaded_modules> layouts{stored};
  if (renamed) {
    for (const name_layout layout :
         {name_layout::modules_4_52, name_layout::modules_5_6, name_layout::vllm}) {
      detail::loaded_modules& modules = layouts.emplace_back(stored);
      for (auto& m : modules) m.name = spelled_in(m.name, layout);
    }
  }
  detail::fuse_layers(layouts.back(), list.warnings);
  detail::skip_search search(layouts);
  for (const auto& layout : layouts) {
    if (auto wrong = search.add_layout(layout)) return *std::move(wrong);
  }
  list.modules = std::move(search.found);
  return list;
}

}  // namespace vq::inline v1

#endif
