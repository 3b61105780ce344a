// From sensitivities to a plan: the format of every layer, under a limit of bytes.
//
//   vq::plan_request request{.limits = {.bytes = 6'000'000'000}};
//   request.pins = my_pins;                      // a recipe: what it decides is not up for choice
//   auto plan = vq::plan_formats(table, tensors, formats, request);
//   vq::write_file("plan.json", vq::format_recipe(plan->rules));
//
// A plan is a recipe with one rule for each module that is quantized, so everything that takes a
// recipe takes a plan. The cost of a choice is the sum of what each layer's format cost alone
// (sensitivity.hpp), minimized exactly (bit_allocation.hpp); a layer that is left as it is costs
// nothing. The sum leaves interactions out: measure the plan as a whole before relying on it.
//
// The limit is of all tensors of the model, those that no format changes included. Layers of the
// table are names of modules: `encoder.fc1` for the tensor `encoder.fc1.weight`. Only trials of
// weights count (part "weights", or none). Layers that engines fuse take one format
// (tied_layers.hpp) unless `tie` is false.
#ifndef VQ_PLAN_FORMAT_PLAN_HPP
#define VQ_PLAN_FORMAT_PLAN_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/analyze/sensitivity.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/plan/assignment.hpp>
#include <vq/plan/bit_allocation.hpp>
#include <vq/plan/recipe.hpp>
#include <vq/plan/tied_layers.hpp>
#include <vq/plan/weight_format.hpp>

namespace vq::inline v1 {

struct plan_request {
  std::string name = "plan";
  allocation_limits limits{};
  std::optional<recipe> pins{};
  std::map<component, int> least_bits{};  // of the formats that a component may take
  bool tie = true;
  // Of a layer in a format, in the unit of limits.time; infinite: no choice. Without it no time is
  // counted (layer_times.hpp reads one from a file).
  std::function<double(const tensor_info& weight, std::string_view format)> time{};
};

struct planned_layer {
  std::string module;
  std::string format;
  std::uint64_t bytes = 0;
  double cost = 0;
};

struct format_plan {
  recipe rules;
  std::vector<planned_layer> layers;  // in the order of the table
  std::uint64_t bytes = 0;            // of all tensors
  double time = 0;                    // of the layers
  double cost = 0;
  double bound = 0;      // no plan costs less
  bool optimal = false;  // proven
};

namespace detail {

class format_planner {
 public:
  format_planner(const sensitivity_table& table, std::span<const weight_format> formats,
                 const plan_request& request)
      : table_(table), formats_(formats), request_(request) {}

  result<format_plan, failure> run(const std::vector<tensor_info>& tensors) {
    if (auto wrong = find_layers(tensors)) return *std::move(wrong);
    if (auto wrong = list_options()) return *std::move(wrong);

    std::vector<std::string> modules;
    for (const layer& l : layers_) modules.push_back(l.module);
    std::vector<std::vector<index_type>> groups;
    if (request_.tie) {
      groups = tied_layers(modules);
    } else {
      for (index_type i = 0; i < std::ssize(layers_); ++i) groups.push_back({i});
    }
    std::vector<std::vector<std::size_t>> choices;  // entries of names_ that a group may take
    std::vector<layer_options> options;
    for (const auto& group : groups) {
      std::vector<std::size_t> shared;
      std::vector<layer_options> members(group.size());
      for (std::size_t f = 0; f < names_.size(); ++f) {
        const bool everywhere = std::ranges::all_of(group, [&](index_type i) {
          return layers_[static_cast<std::size_t>(i)].options[f].has_value();
        });
        if (!everywhere) continue;
        shared.push_back(f);
        for (std::size_t m = 0; m < group.size(); ++m) {
          members[m].push_back(*layers_[static_cast<std::size_t>(group[m])].options[f]);
        }
      }
      if (shared.empty()) {
        return refuse(sentence("no format is left for ",
                               in_quotes(layers_[static_cast<std::size_t>(group[0])].module),
                               group.size() > 1 ? " and the layers it is tied to" : ""));
      }
      choices.push_back(std::move(shared));
      options.push_back(merge_layers(members));
    }

    allocation_limits limits = request_.limits;
    if (limits.bytes < static_cast<std::int64_t>(fixed_bytes_)) {
      return refuse(sentence(limits.bytes, " bytes are allowed, and what no format changes takes ",
                             fixed_bytes_));
    }
    limits.bytes -= static_cast<std::int64_t>(fixed_bytes_);
    const auto found = allocate_bits(options, limits);
    if (!found) return found.error();
    return describe(*found, groups, choices);
  }

 private:
  struct layer {
    std::string module;
    assigned_tensor weight;
    index_type in_table = 0;
    std::vector<std::optional<bit_option>> options;  // one for each of names_
  };

  failure refuse(std::string_view why) const {
    return {status::bad_argument, sentence("plan ", in_quotes(request_.name), ": ", why)};
  }

  std::optional<failure> find_layers(const std::vector<tensor_info>& tensors) {
    // Pins decide by their own rules; without pins a rule that keeps everything classifies.
    const recipe nothing{"none", "", {{.pattern = "*", .format = std::string(keep_format)}}};
    auto assigned = apply(request_.pins.value_or(nothing), tensors, formats_);
    if (!assigned) return assigned.error();
    std::map<std::string_view, const assigned_tensor*> by_name;
    for (const assigned_tensor& t : assigned->tensors) by_name.emplace(t.name, &t);
    for (index_type l = 0; l < std::ssize(table_.layers); ++l) {
      const sensitivity_layer& named = table_.layers[static_cast<std::size_t>(l)];
      if (!named.part.empty() && named.part != "weights") continue;
      const auto at = by_name.find(named.name + ".weight");
      if (at == by_name.end()) {
        return refuse(sentence("the model has no tensor ", in_quotes(named.name + ".weight"),
                               ", which the table of sensitivities names"));
      }
      if (at->second == nullptr) {
        return refuse(sentence("layer ", in_quotes(named.name), " stands twice in the table"));
      }
      layers_.push_back({named.name, *at->second, l, {}});
      at->second = nullptr;
    }
    if (layers_.empty()) return refuse("the table of sensitivities names no weights");
    for (const auto& [name, tensor] : by_name) {
      if (tensor != nullptr) fixed_bytes_ += tensor->bytes;
    }
    return std::nullopt;
  }

  // What every layer may become, and what that costs.
  std::optional<failure> list_options() {
    names_ = table_.formats;
    names_.emplace_back(keep_format);
    for (layer& l : layers_) {
      const bool pinned = request_.pins.has_value() && l.weight.rule >= 0;
      if (pinned && std::ranges::find(names_, l.weight.format) == names_.end()) {
        names_.push_back(l.weight.format);
      }
    }
    for (layer& l : layers_) {
      const bool pinned = request_.pins.has_value() && l.weight.rule >= 0;
      const auto least = request_.least_bits.find(l.weight.part);
      l.options.resize(names_.size());
      for (std::size_t f = 0; f < names_.size(); ++f) {
        const std::string& name = names_[f];
        if (pinned && name != l.weight.format) continue;
        bit_option option;
        if (is_unquantized(name)) {
          option.bytes =
              static_cast<std::int64_t>(pinned ? l.weight.bytes : l.weight.stored_bytes());
        } else {
          const weight_format* format = find_format(formats_, name);
          if (format == nullptr) return refuse(unknown_format(formats_, name));
          const bool too_few = least != request_.least_bits.end() && format->bits < least->second;
          const bool measured = f < table_.formats.size();
          const sensitivity_trial* trial =
              measured ? table_.of(procedure::alone, static_cast<index_type>(f), l.in_table)
                       : nullptr;
          if (!pinned && (too_few || trial == nullptr)) continue;
          option.bytes = static_cast<std::int64_t>(format->stored_bytes(as_matrix(l.weight.shape)));
          option.cost = trial == nullptr ? 0 : trial->mean();
        }
        if (request_.time) option.time = request_.time(l.weight, name);
        if (std::isinf(option.time)) continue;
        l.options[f] = option;
      }
    }
    return std::nullopt;
  }

  format_plan describe(const bit_allocation& found,
                       const std::vector<std::vector<index_type>>& groups,
                       const std::vector<std::vector<std::size_t>>& choices) const {
    format_plan plan;
    plan.layers.resize(layers_.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::size_t f = choices[g][static_cast<std::size_t>(found.choice[g])];
      for (const index_type i : groups[g]) {
        const layer& l = layers_[static_cast<std::size_t>(i)];
        const bit_option& o = *l.options[f];
        plan.layers[static_cast<std::size_t>(i)] = {l.module, names_[f],
                                                    static_cast<std::uint64_t>(o.bytes), o.cost};
      }
    }
    plan.bytes = fixed_bytes_ + static_cast<std::uint64_t>(found.bytes);
    plan.time = found.time;
    plan.cost = found.cost;
    plan.bound = found.bound;
    plan.optimal = found.optimal;
    plan.rules.name = request_.name;
    plan.rules.about = sentence(plan.bytes, " bytes; formats chosen layer by layer",
                                plan.optimal ? ", proven to cost least" : "");
    for (const planned_layer& l : plan.layers) {
      if (l.format == keep_format) continue;
      plan.rules.rules.push_back({.pattern = l.module + ".weight", .format = l.format});
    }
    return plan;
  }

  const sensitivity_table& table_;
  std::span<const weight_format> formats_;
  const plan_request& request_;
  std::vector<layer> layers_;
  std::vector<std::string> names_;  // of the formats of the table, keep, and what else is pinned
  std::uint64_t fixed_bytes_ = 0;
};

}  // namespace detail

// Tensors: all tensors of the model, any range of tensor_info. Errors: bad_argument (the table and
// the model do not belong together, an unknown format, no plan fits: the message says what the least
// would be), those of the pins (assignment.hpp).
template <class Tensors>
result<format_plan, failure> plan_formats(const sensitivity_table& table, const Tensors& tensors,
                                          std::span<const weight_format> formats,
                                          const plan_request& request) {
  std::vector<tensor_info> infos;
  for (const tensor_info& t : tensors) infos.push_back(t);
  return detail::format_planner(table, formats, request).run(infos);
}

}  // namespace vq::inline v1

#endif
