// From sensitivities to a plan that was measured: the allocation of plan/format_plan.hpp, and what to
// do about layers that hurt more, or less, together than alone.
//
//   auto plan = plan_mixed(subject, table, tensors, formats, {.bytes = 130'000, .rounds = 2});
//   plan->formats[3];  plan->divergence;        // of the plan as a whole, measured
//
// The sum of what layers do alone is the first guess. Then every layer is tried again in every
// format of the table, with all other layers as the plan has them, and the allocation is solved
// again with the differences to the plan as costs, and with the mean of these and the first costs. A
// candidate is kept if its measured divergence is lower. No labels, and no data but the subject's.
#ifndef ENGINE_SENSITIVITY_MIXED_PRECISION_HPP
#define ENGINE_SENSITIVITY_MIXED_PRECISION_HPP

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/plan/format_plan.hpp>

#include "engine/parallel.hpp"
#include "engine/sensitivity/subject.hpp"

namespace engine {

struct mixed_request {
  std::int64_t bytes = 0;  // of all tensors
  int rounds = 1;          // of trials around the best plan
  std::string name = "mixed";
  parallel_for run = {};
};

struct mixed_plan {
  vq::format_plan plan;
  subject::format_names formats;
  double divergence = 0;      // measured
  int round = 0;              // that found it; 0: the sum of what layers do alone
  std::vector<double> tried;  // divergences of all candidates, in their order
};

inline double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The recipe that gives every layer of a subject one format, and its bytes.
inline vq::result<vq::assignment, vq::failure> uniform_plan(
    const subject& s, const std::vector<vq::tensor_info>& tensors, const std::string& format,
    std::span<const vq::weight_format> formats) {
  vq::recipe same{"uniform-" + format, "", {}};
  for (const vq::tensor_info& w : s.weights()) {
    same.rules.push_back({.pattern = w.name, .format = format});
  }
  return vq::apply(same, tensors, formats);
}
inline std::int64_t bytes_in_all(const vq::assignment& plan) {
  std::int64_t bytes = 0;
  for (const vq::assigned_tensor& t : plan.tensors) bytes += static_cast<std::int64_t>(t.bytes);
  return bytes;
}

namespace detail {

class mixed_search {
 public:
  mixed_search(subject& s, const vq::sensitivity_table& alone,
               const std::vector<vq::tensor_info>& tensors,
               std::span<const vq::weight_format> formats, const mixed_request& request)
      : subject_(s), alone_(alone), tensors_(tensors), formats_(formats), request_(request) {}

  vq::result<mixed_plan, vq::failure> run() {
    if (auto failed = consider(alone_, 0)) return *std::move(failed);
    for (int round = 1; round <= request_.rounds; ++round) {
      const double before = best_.divergence;
      auto around = try_around_best();
      if (!around) return around.error();
      if (auto failed = consider(*around, round)) return *std::move(failed);
      if (auto failed = consider(mixed(*around), round)) return *std::move(failed);
      if (best_.divergence >= before) break;
    }
    return std::move(best_);
  }

 private:
  using outcome = std::optional<vq::failure>;

  outcome consider(const vq::sensitivity_table& costs, int round) {
    vq::plan_request wanted{.name = request_.name, .limits = {.bytes = request_.bytes}};
    auto plan = vq::plan_formats(costs, tensors_, formats_, wanted);
    if (!plan) return plan.error();
    subject::format_names names;
    for (const vq::planned_layer& l : plan->layers) names.push_back(l.format);
    if (names == best_.formats) return std::nullopt;
    const auto measured = subject_.divergence(names);
    if (!measured) return measured.error();
    const double divergence = mean_of(*measured);
    best_.tried.push_back(divergence);
    if (!best_.formats.empty() && divergence >= best_.divergence) return std::nullopt;
    best_ = {*std::move(plan), std::move(names), divergence, round, std::move(best_.tried)};
    return std::nullopt;
  }

  // What each layer in each format adds to the divergence of the best plan. Formats that no plan of
  // this size would give the layer are not tried: they keep what they cost alone.
  vq::result<vq::sensitivity_table, vq::failure> try_around_best() {
    const subject::format_names floats(best_.formats.size(), std::string(vq::keep_format));
    if (auto failed = subject_.rebase(best_.formats)) return *std::move(failed);
    auto around = try_around_base();
    if (auto failed = subject_.rebase(floats)) return *std::move(failed);
    return around;
  }
  vq::result<vq::sensitivity_table, vq::failure> try_around_base() {
    const auto base = subject_.divergence({});
    if (!base) return base.error();
    const auto measure = measure_of(subject_, alone_.formats);
    const auto change = [&](std::span<const vq::index_type> choice,
                            vq::index_type worker) -> subject::numbers_or_failure {
      const auto changed = std::ranges::find_if(choice, [](auto f) { return f != vq::untouched; });
      const vq::index_type layer = changed - choice.begin(), format = *changed;
      const auto* alone = alone_.of(vq::procedure::alone, format, layer);
      if (alone_.formats[at(format)] == best_.formats[at(layer)]) {
        return std::vector<double>(base->size());
      }
      if (alone != nullptr && !worth_trying(layer, format)) return alone->measure;
      auto found = measure(choice, worker);
      if (!found) return found;
      for (std::size_t i = 0; i < found->size(); ++i) (*found)[i] -= (*base)[i];
      return found;
    };
    return vq::analyze_sensitivity(layers_of(subject_), alone_.formats, change, {}, request_.run);
  }

  bool worth_trying(vq::index_type layer, vq::index_type format) const {
    const auto cost = [&](vq::index_type f) {
      const auto* t = alone_.of(vq::procedure::alone, f, layer);
      return t == nullptr ? std::numeric_limits<double>::infinity() : t->mean();
    };
    const auto bytes = [&](vq::index_type f) {
      const auto shape = vq::as_matrix(subject_.weights()[at(layer)].shape);
      return vq::find_format(formats_, alone_.formats[at(f)])->stored_bytes(shape);
    };
    if (cost(format) > 2 * best_.divergence) return false;
    for (vq::index_type f = 0; f < std::ssize(alone_.formats); ++f) {
      const bool as_good = bytes(f) <= bytes(format) && cost(f) <= cost(format);
      if (as_good && (bytes(f) < bytes(format) || cost(f) < cost(format))) return false;
    }
    return true;
  }

  // The mean of these costs and those that layers have alone.
  vq::sensitivity_table mixed(vq::sensitivity_table costs) const {
    for (vq::sensitivity_trial& t : costs.trials) {
      const auto* alone = alone_.of(t.how, t.format, t.layer);
      for (std::size_t i = 0; i < t.measure.size(); ++i) {
        t.measure[i] = (t.measure[i] + (alone == nullptr ? 0 : alone->measure[i])) / 2;
      }
    }
    return costs;
  }

  subject& subject_;
  const vq::sensitivity_table& alone_;
  const std::vector<vq::tensor_info>& tensors_;
  std::span<const vq::weight_format> formats_;
  const mixed_request& request_;
  mixed_plan best_;
};

}  // namespace detail

// `alone`: trials of one layer at a time around the float model; the subject's base must be that
// model, and is again afterwards. Errors: those of plan_formats and of the subject.
inline vq::result<mixed_plan, vq::failure> plan_mixed(subject& s,
                                                      const vq::sensitivity_table& alone,
                                                      const std::vector<vq::tensor_info>& tensors,
                                                      std::span<const vq::weight_format> formats,
                                                      const mixed_request& request) {
  return detail::mixed_search(s, alone, tensors, formats, request).run();
}

}  // namespace engine

#endif
