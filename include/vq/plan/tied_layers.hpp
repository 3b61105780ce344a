// Layers that must take the same format, because engines fuse them into one product.
//
//   q_proj, k_proj, v_proj     query, key, value     q, k, v     gate_proj, up_proj     w1, w3
//
// beside each other: `layers.0.self_attn.q_proj` goes with `layers.0.self_attn.k_proj`.
#ifndef VQ_PLAN_TIED_LAYERS_HPP
#define VQ_PLAN_TIED_LAYERS_HPP

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

// Groups of numbers of modules, each group and the groups in the order of the modules; a module that
// is tied to nothing is a group of its own.
inline std::vector<std::vector<index_type>> tied_layers(std::span<const std::string> modules) {
  constexpr std::string_view sets[][3] = {{"q_proj", "k_proj", "v_proj"},
                                          {"query", "key", "value"},
                                          {"q", "k", "v"},
                                          {"gate_proj", "up_proj", ""},
                                          {"w1", "w3", ""}};
  std::vector<std::vector<index_type>> groups;
  std::map<std::pair<std::string_view, std::size_t>, std::size_t> known;  // parent and set -> group
  for (std::size_t i = 0; i < modules.size(); ++i) {
    const std::string_view name = modules[i];
    const std::size_t dot = name.rfind('.');
    const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
    std::size_t group = groups.size();
    for (std::size_t s = 0; s < std::size(sets); ++s) {
      for (const std::string_view member : sets[s]) {
        if (last != member || dot == std::string_view::npos) continue;
        group = known.try_emplace({name.substr(0, dot), s}, group).first->second;
      }
    }
    if (group == groups.size()) groups.emplace_back();
    groups[group].push_back(static_cast<index_type>(i));
  }
  return groups;
}

}  // namespace vq::inline v1

#endif
