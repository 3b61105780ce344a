// Which layers hurt: every layer in every format, judged by a measure of the caller.
//
//   std::vector<vq::sensitivity_layer> layers{{"encoder.0.fc1"}, {"encoder.0.fc2"}, ...};
//   const std::vector<std::string> formats{"int8-channel", "int4-channel"};
//   const auto hurt = [&](std::span<const vq::index_type> choice, vq::index_type worker) {
//     // choice[l]: the format of layer l, or vq::untouched. One number for each subset of the data,
//     // the higher the worse: mean KL of the logits to those of the float model, say
//     return std::vector<double>{...};
//   };
//   auto table = vq::analyze_sensitivity(layers, formats, hurt, {}, pool);   // or vq::menu<...>{}
//   table->of(vq::procedure::alone, format, layer)->mean();
//
//   alone          layer l in format f, everything else untouched
//   all_but_one    everything in format f, layer l untouched
//   cumulative     in format f the k layers that hurt least alone, k = 1 .. all
//
// Differences between layers are judged on the same subsets, in pairs: layer a hurts more than b
// where the mean difference exceeds twice its standard error. Ranks are intervals: from one more
// than the layers that surely hurt more, to all less those that surely hurt less. Measure on the
// quantity that matters, on data that training did not see to perfection, and never on test data.
//
// Whether weights, inputs or both of a layer are quantized is for evaluate to say: a layer whose two
// parts are analysed apart stands in the list twice.
#ifndef VQ_ANALYZE_SENSITIVITY_HPP
#define VQ_ANALYZE_SENSITIVITY_HPP

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <vq/analyze/format_name.hpp>
#include <vq/core/parallel.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

inline constexpr index_type untouched = -1;

struct sensitivity_layer {
  std::string name;
  std::string part = {};  // "weights", "inputs", or nothing where that does not matter

  friend bool operator==(const sensitivity_layer&, const sensitivity_layer&) = default;
};

enum class procedure : std::uint8_t { alone, all_but_one, cumulative };

constexpr const char* name_of(procedure p) noexcept {
  constexpr const char* names[] = {"alone", "all_but_one", "cumulative"};
  return names[static_cast<int>(p)];
}

// What one evaluation found.
struct sensitivity_trial {
  procedure how = procedure::alone;
  index_type format = 0;
  index_type layer = 0;         // of a cumulative trial: how many layers are quantized, less one
  std::vector<double> measure;  // one for each subset of the data

  double mean() const noexcept {
    if (measure.empty()) return 0;
    return std::accumulate(measure.begin(), measure.end(), 0.0) /
           static_cast<double>(measure.size());
  }
  // Of the mean; infinite for less than two subsets.
  double standard_error() const noexcept;
};

// Mean of a - b and its standard error, subset by subset.
struct paired_difference {
  double mean = 0;
  double standard_error = std::numeric_limits<double>::infinity();

  bool sure() const noexcept { return std::abs(mean) > 2 * standard_error; }
};

inline paired_difference compare_pairs(std::span<const double> a,
                                       std::span<const double> b) noexcept {
  const std::size_t count = (std::min)(a.size(), b.size());
  paired_difference d;
  if (count == 0) return d;
  for (std::size_t i = 0; i < count; ++i) d.mean += (a[i] - b[i]) / static_cast<double>(count);
  if (count < 2) return d;
  double squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double rest = a[i] - b[i] - d.mean;
    squares += rest * rest;
  }
  d.standard_error = std::sqrt(squares / static_cast<double>(count * (count - 1)));
  return d;
}

inline double sensitivity_trial::standard_error() const noexcept {
  const std::vector<double> nothing(measure.size(), 0.0);
  return compare_pairs(measure, nothing).standard_error;
}

struct rank_interval {
  index_type layer = 0;
  index_type first = 1, last = 1;  // 1 hurts most
  bool stable() const noexcept { return first == last; }
};

struct sensitivity_table {
  std::vector<sensitivity_layer> layers;
  std::vector<std::string> formats;
  std::vector<sensitivity_trial> trials;  // in the order of procedures, formats, layers
  bool complete = false;                  // false after a stop

  // Null where it was not measured.
  const sensitivity_trial* of(procedure how, index_type format, index_type layer) const noexcept {
    const auto found = std::find_if(trials.begin(), trials.end(), [&](const auto& t) {
      return t.how == how && t.format == format && t.layer == layer;
    });
    return found == trials.end() ? nullptr : &*found;
  }

  // Layers from the one that hurts most, by the mean of `how` (all_but_one: by how much it helps to
  // leave the layer alone); equal means in the order of the layers. Those not measured are left out.
  std::vector<rank_interval> ranks(index_type format, procedure how = procedure::alone) const {
    std::vector<const sensitivity_trial*> measured;
    for (index_type l = 0; l < std::ssize(layers); ++l) {
      if (const auto* t = of(how, format, l)) measured.push_back(t);
    }
    const double sign = how == procedure::all_but_one ? -1 : 1;
    std::stable_sort(measured.begin(), measured.end(), [sign](const auto* a, const auto* b) {
      return sign * a->mean() > sign * b->mean();
    });
    std::vector<rank_interval> ranked;
    for (const auto* t : measured) {
      rank_interval r{t->layer, 1, std::ssize(measured)};
      for (const auto* other : measured) {
        const paired_difference d = compare_pairs(other->measure, t->measure);
        if (other == t || !d.sure()) continue;
        if (sign * d.mean > 0) {
          ++r.first;
        } else {
          --r.last;
        }
      }
      ranked.push_back(r);
    }
    return ranked;
  }
};

struct sensitivity_options {
  std::vector<procedure> procedures = {procedure::alone};
  // An earlier table of the same layers and formats: what it holds is not measured again.
  const sensitivity_table* known = nullptr;
  // Called after every evaluation, from one thread at a time, with the table so far; false stops.
  std::function<bool(const sensitivity_table& so_far, index_type trials_in_all)> progress = {};
};

template <class F>
concept sensitivity_measure = requires(F f, std::span<const index_type> choice, index_type worker) {
  { f(choice, worker) } -> std::convertible_to<result<std::vector<double>, failure>>;
};

namespace detail {

// Runs the trials of one procedure that `table` does not hold; adds them in order.
template <sensitivity_measure Evaluate, parallel_for P>
std::optional<failure> run_trials(sensitivity_table& table, procedure how,
                                  const std::vector<std::vector<index_type>>& order,
                                  const Evaluate& evaluate, const sensitivity_options& options,
                                  index_type in_all, const P& parallel,
                                  std::atomic<bool>& stopped) {
  const index_type layers = std::ssize(table.layers), formats = std::ssize(table.formats);
  std::vector<sensitivity_trial> missing;
  for (index_type f = 0; f < formats; ++f) {
    for (index_type l = 0; l < layers; ++l) {
      if (table.of(how, f, l) == nullptr) missing.push_back({how, f, l, {}});
    }
  }
  std::mutex one_at_a_time;
  std::optional<failure> failed;
  parallel(std::ssize(missing), [&](index_type i, index_type worker) {
    if (stopped.load(std::memory_order_relaxed)) return;
    sensitivity_trial& trial = missing[static_cast<std::size_t>(i)];
    std::vector<index_type> choice(static_cast<std::size_t>(layers),
                                   how == procedure::all_but_one ? trial.format : untouched);
    if (how == procedure::cumulative) {
      const auto& from_least = order[static_cast<std::size_t>(trial.format)];
      for (index_type k = 0; k <= trial.layer; ++k) {
        choice[static_cast<std::size_t>(from_least[static_cast<std::size_t>(k)])] = trial.format;
      }
    } else {
      choice[static_cast<std::size_t>(trial.layer)] =
          how == procedure::alone ? trial.format : untouched;
    }
    result<std::vector<double>, failure> measure = evaluate(choice, worker);
    const std::scoped_lock lock(one_at_a_time);
    if (!measure) {
      if (!failed) failed = measure.error();
      stopped = true;
      return;
    }
    trial.measure = *std::move(measure);
    table.trials.push_back(trial);
    if (options.progress && !options.progress(table, in_all)) stopped = true;
  });
  std::sort(table.trials.begin(), table.trials.end(), [](const auto& a, const auto& b) {
    return std::tie(a.how, a.format, a.layer) < std::tie(b.how, b.format, b.layer);
  });
  return failed;
}

}  // namespace detail

// Errors: bad_argument (`known` is of other layers or formats), and those of `evaluate`.
template <sensitivity_measure Evaluate, parallel_for P = serial_t>
result<sensitivity_table, failure> analyze_sensitivity(std::vector<sensitivity_layer> layers,
                                                       std::vector<std::string> formats,
                                                       const Evaluate& evaluate,
                                                       const sensitivity_options& options = {},
                                                       const P& parallel = {}) {
  sensitivity_table table{std::move(layers), std::move(formats), {}, false};
  if (options.known != nullptr) {
    if (options.known->layers != table.layers || options.known->formats != table.formats) {
      return failure{status::bad_argument,
                     "sensitivity: the earlier table is of other layers or formats"};
    }
    table.trials = options.known->trials;
  }
  // Cumulative trials follow the order that the layers have alone.
  std::vector<procedure> procedures = options.procedures;
  std::sort(procedures.begin(), procedures.end());
  const bool cumulative =
      std::find(procedures.begin(), procedures.end(), procedure::cumulative) != procedures.end();
  if (cumulative && procedures.front() != procedure::alone) {
    procedures.insert(procedures.begin(), procedure::alone);
  }
  const index_type in_all =
      std::ssize(procedures) * std::ssize(table.layers) * std::ssize(table.formats);

  std::atomic<bool> stopped = false;
  for (const procedure how : procedures) {
    std::vector<std::vector<index_type>> order;
    for (index_type f = 0; how == procedure::cumulative && f < std::ssize(table.formats); ++f) {
      order.emplace_back();
      for (const rank_interval& r : table.ranks(f)) order.back().push_back(r.layer);
      std::reverse(order.back().begin(), order.back().end());
    }
    if (auto failed =
            detail::run_trials(table, how, order, evaluate, options, in_all, parallel, stopped)) {
      return *std::move(failed);
    }
    if (stopped) return table;
  }
  table.complete = true;
  return table;
}

// In every quantizer of a menu, by the names that format_name gives them.
template <a_quantizer... Q, sensitivity_measure Evaluate, parallel_for P = serial_t>
result<sensitivity_table, failure> analyze_sensitivity(std::vector<sensitivity_layer> layers,
                                                       menu<Q...> formats, const Evaluate& evaluate,
                                                       const sensitivity_options& options = {},
                                                       const P& parallel = {}) {
  return analyze_sensitivity(std::move(layers), format_names(formats), evaluate, options, parallel);
}

}  // namespace vq::inline v1

#endif
