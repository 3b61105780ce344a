// The table that every command prints: which component got which precision.
//
//   const vq::model_summary s = vq::summarize(*assignment);
//   for (const vq::component_summary& c : s.components) ...   // tensors, parameters, bytes, formats
//
//   component        tensors   parameters        bytes   precision
//   vision               391  303,507,456  607,014,912   f16
//   language_model       291    6.48e9         3.34e9    nf4-block64-dq256 (224), f16 (67)
//   head                   0            0            0   tied to the embedding
//
// Components without tensors are left out, but for a head that a language model shares with its
// embedding: it is shown, with a note instead of a size.
#ifndef VQ_PLAN_SUMMARY_HPP
#define VQ_PLAN_SUMMARY_HPP

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <vq/plan/assignment.hpp>

namespace vq::inline v1 {

// Some tensors of one precision.
struct format_share {
  std::string format;  // of a recipe, or for tensors that stay their element type: "f16"
  index_type tensors = 0;
  index_type parameters = 0;
  std::uint64_t bytes = 0;

  void add(const assigned_tensor& t) noexcept {
    ++tensors;
    parameters += t.size();
    bytes += t.bytes;
  }
};

struct component_summary {
  component part = component::vision;
  format_share all{};                   // its `format` is empty
  std::vector<format_share> formats{};  // largest first
  std::string note{};
};

struct model_summary {
  std::vector<component_summary> components;  // in the order of the enumeration
  format_share total;
};

inline std::string spelled_format(const assigned_tensor& t) {
  if (t.format != keep_format) return t.format;
  std::string text(name_of(t.type));
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

inline model_summary summarize(const assignment& plan) {
  model_summary summary;
  const auto find_component = [&](component part) -> component_summary& {
    auto& all = summary.components;
    const auto at = std::ranges::find_if(all, [&](const auto& c) { return c.part >= part; });
    if (at != all.end() && at->part == part) return *at;
    return *all.insert(at, {.part = part});
  };
  bool has_decoder = false, has_table = false, has_head = false;
  for (const assigned_tensor& t : plan.tensors) {
    component_summary& c = find_component(t.part);
    const std::string format = spelled_format(t);
    auto share = std::ranges::find(c.formats, format, &format_share::format);
    if (share == c.formats.end()) share = c.formats.insert(share, {.format = format});
    share->add(t);
    c.all.add(t);
    summary.total.add(t);
    has_decoder = has_decoder || t.part == component::language_model;
    has_table = has_table || t.part == component::embedding;
    has_head = has_head || t.part == component::head;
  }
  if (has_decoder && has_table && !has_head) {
    find_component(component::head).note = "tied to the embedding";
  }
  for (component_summary& c : summary.components) {
    std::ranges::stable_sort(c.formats, std::ranges::greater{}, &format_share::parameters);
  }
  return summary;
}

}  // namespace vq::inline v1

#endif
