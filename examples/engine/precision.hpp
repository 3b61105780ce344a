// Selective precision: which part of a network gets how many bits, by the names of its modules.
//
//   precision p{4, 4};                                            // weights, activations
//   p.rules.push_back({"classifier", {.weights = 8}});
//   p.rules.push_back({"*.attention.attention.query", {.weights = 8, .outputs = 8}});
//
// '*' stands for any text, '?' for one character; later rules overrule earlier ones. A rule that
// selects nothing is a mistake and is refused. 16 bits of activations are floats.
#ifndef ENGINE_PRECISION_HPP
#define ENGINE_PRECISION_HPP

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph.hpp"

namespace engine {

struct bit_choice {
  int weights = 0;  // of the modules selected; 0 keeps what holds without the rule
  int outputs = 0;  // of what they compute
};

struct precision_rule {
  std::string pattern;
  bit_choice bits;
};

struct precision {
  int weights = 8;
  int activations = 8;
  std::vector<precision_rule> rules = {};
};

constexpr bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    for (std::size_t skipped = 0; skipped <= name.size(); ++skipped) {
      if (matches(pattern.substr(1), name.substr(skipped))) return true;
    }
    return false;
  }
  return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
         matches(pattern.substr(1), name.substr(1));
}

inline bool has_weight(const node& n) { return n.is<conv2d>() || n.is<linear>(); }

// The bits of every node. Errors: a number of bits that is none of 4, 6, 8 (and 16 for outputs); a
// rule that selects no module, or weights of modules that have none.
inline vq::result<std::vector<bit_choice>, vq::failure> assign_bits(const graph& g,
                                                                    const precision& p) {
  const auto refuse = [](auto... why) {
    return vq::failure{vq::status::bad_argument, vq::sentence("precision: ", why...)};
  };
  const auto known = [](int bits) { return bits == 4 || bits == 6 || bits == 8; };
  const auto sound = [&](bit_choice b) {
    return known(b.weights) && (known(b.outputs) || b.outputs == 16);
  };
  if (!sound({p.weights, p.activations})) {
    return refuse(p.weights, " and ", p.activations, " bits: 4, 6 and 8 are offered");
  }
  std::vector<bit_choice> bits(g.nodes.size(), {p.weights, p.activations});
  for (const precision_rule& rule : p.rules) {
    bool selects = false, selects_weights = rule.bits.weights == 0;
    for (index_type i = 0; i < g.size(); ++i) {
      if (!matches(rule.pattern, g[i].name)) continue;
      bit_choice& chosen = bits[at(i)];
      if (rule.bits.weights != 0) chosen.weights = rule.bits.weights;
      if (rule.bits.outputs != 0) chosen.outputs = rule.bits.outputs;
      if (!sound(chosen)) {
        return refuse("pattern ", vq::in_quotes(rule.pattern), ": 4, 6 and 8 bits are offered");
      }
      selects = true;
      selects_weights = selects_weights || has_weight(g[i]);
    }
    if (!selects) return refuse("pattern ", vq::in_quotes(rule.pattern), " selects no module");
    if (!selects_weights) {
      return refuse("pattern ", vq::in_quotes(rule.pattern), " selects no module with weights");
    }
  }
  return bits;
}

}  // namespace engine

#endif
