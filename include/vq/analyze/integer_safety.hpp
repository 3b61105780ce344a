// Can an integer layer overflow on a given target? Proven from its weights, without running it.
//
//   vq::integer_layer fc1{.name = "fc1", .weights = codes, .outputs = 64, .inputs = {0, 255, 3},
//                         .bias = bias, .shifts = shifts};
//   const vq::safety_report report = vq::check_integer_safety(fc1, vq::integer_targets::avx2);
//   if (!report.safe()) print(vq::describe(report));
//   // fc1: on avx2 sums of 2 neighbouring products reach 64770 of 32767 (output 7); safe with input
//   // codes of 6 bits, or with weights up to 64
//
// For inputs between lowest and highest a product w * x is between the smaller and the larger of
// w * lowest and w * highest, and every sum of products between the sums of these ends; both are
// reached by an input, worst_input(). Checked are
//
//   neighbours    the sums of products that a target adds in a narrow type before it widens them:
//                 pairs in 16 bits with pmaddubsw (saturating) and smull + smlal (wrapping)
//   accumulator   sum of w * x as the target adds it. Two's complement sums may wrap on the way as
//                 long as the end fits, so the end is what is checked
//   result        sum of w * (x - zero point) + bias
//   bias          as an integer
//   shift         the result times 2^shift where a fixed multiplier shifts left first
//
// A bound that holds proves safety; one that does not names the output and is reached. The order of
// products within an output is that of the target's kernel, for `neighbours`.
#ifndef VQ_ANALYZE_INTEGER_SAFETY_HPP
#define VQ_ANALYZE_INTEGER_SAFETY_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vq/core/config.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

// How a target adds products of two 8-bit codes.
struct integer_target {
  const char* name = "";
  index_type neighbours = 1;  // products summed before widening
  int neighbour_bits = 32;    // of that sum, signed
  int accumulator_bits = 32;  // signed
};

namespace integer_targets {
inline constexpr integer_target avx2{"avx2", 2, 16, 32};          // pmaddubsw, pmaddwd
inline constexpr integer_target vnni{"vnni", 1, 32, 32};          // vpdpbusd, also AVX2's
inline constexpr integer_target neon{"neon", 2, 16, 32};          // smull, smlal, sadalp
inline constexpr integer_target neon_dot{"neon_dot", 1, 32, 32};  // sdot, also smmla
inline constexpr integer_target cortex_m{"cortex_m", 1, 32, 32};  // smlad on 16-bit halves
inline constexpr integer_target widened{"widened", 1, 32, 32};    // to 16 bits first: vq's kernels
inline constexpr integer_target sums_of_16_bits{"16-bit sums", 1, 32, 16};
inline constexpr integer_target all[] = {avx2,     vnni,    neon,           neon_dot,
                                         cortex_m, widened, sums_of_16_bits};
}  // namespace integer_targets

struct input_codes {
  std::int32_t lowest = -128, highest = 127;  // what calibration or the format allows
  std::int32_t zero_point = 0;
};

struct integer_layer {
  std::string name;
  std::span<const std::int8_t> weights;  // (outputs, products), in the order of the kernel
  index_type outputs = 0;
  input_codes inputs;
  // In units of the accumulator, one for each output, or empty; as computed, before rounding to an
  // integer: what does not fit an int32 is a finding.
  std::span<const double> bias = {};
  // The shifts of fixed multipliers (multiplier.hpp), to the left where positive: one for all, one
  // for each output, or empty.
  std::span<const int> shifts = {};

  index_type products() const noexcept { return outputs == 0 ? 0 : std::ssize(weights) / outputs; }
  std::span<const std::int8_t> row(index_type output) const noexcept {
    return weights.subspan(static_cast<std::size_t>(output * products()),
                           static_cast<std::size_t>(products()));
  }
};

enum class overflow_check : std::uint8_t { neighbours, accumulator, result, bias, shift };

// The output that comes closest to a limit, or goes furthest beyond.
struct overflow_bound {
  overflow_check what = overflow_check::accumulator;
  index_type output = 0;
  double lowest = 0, highest = 0;  // of the sum; integers, exact to 2^53
  int bits = 32;                   // of the signed type that takes it

  double most() const noexcept { return static_cast<double>(std::int64_t{1} << (bits - 1)) - 1; }
  bool safe() const noexcept { return lowest >= -most() - 1 && highest <= most(); }
  // Share of the type that is used; above 1 it overflows.
  double use() const noexcept {
    return (std::max)({0.0, highest / most(), lowest / (-most() - 1)});
  }
};

struct safety_report {
  std::string layer;
  integer_target target;
  std::vector<overflow_bound> bounds;  // the worst output of every check that applies
  int safe_input_bits = 0;             // the widest input codes with safe neighbours; 0: none
  std::int32_t safe_weight = 0;        // the largest magnitude of weights with safe neighbours

  bool safe() const noexcept {
    return std::all_of(bounds.begin(), bounds.end(), [](const auto& b) { return b.safe(); });
  }
};

// The input that drives an output's sum to its highest, or to its lowest, end.
inline std::vector<std::int32_t> worst_input(const integer_layer& layer, index_type output,
                                             bool highest) {
  std::vector<std::int32_t> codes;
  for (const std::int8_t w : layer.row(output)) {
    codes.push_back((w > 0) == highest ? layer.inputs.highest : layer.inputs.lowest);
  }
  return codes;
}

namespace detail {

struct sum_ends {
  std::int64_t lowest = 0, highest = 0;

  void add(std::int32_t weight, const input_codes& x) noexcept {
    const std::int64_t a = std::int64_t{weight} * x.lowest, b = std::int64_t{weight} * x.highest;
    lowest += (std::min)(a, b);
    highest += (std::max)(a, b);
  }
};

inline bool fits(const sum_ends& s, int bits) noexcept {
  const std::int64_t most = (std::int64_t{1} << (bits - 1)) - 1;
  return s.lowest >= -most - 1 && s.highest <= most;
}

// Calls f(ends) for every sum of neighbouring products of a row.
template <class F>
void for_each_neighbourhood(std::span<const std::int8_t> row, index_type neighbours,
                            const input_codes& x, F f) {
  for (std::size_t i = 0; i < row.size(); i += static_cast<std::size_t>(neighbours)) {
    sum_ends s;
    const std::size_t end = (std::min)(row.size(), i + static_cast<std::size_t>(neighbours));
    for (std::size_t k = i; k < end; ++k) s.add(row[k], x);
    f(s);
  }
}

inline bool neighbours_fit(const integer_layer& layer, const integer_target& target,
                           const input_codes& x) {
  bool fit = true;
  for (index_type n = 0; n < layer.outputs; ++n) {
    for_each_neighbourhood(layer.row(n), target.neighbours, x,
                           [&](const sum_ends& s) { fit = fit && fits(s, target.neighbour_bits); });
  }
  return fit;
}

// Codes of fewer bits, signed or not as those of the layer.
inline input_codes narrowed(const input_codes& x, int bits) noexcept {
  if (x.lowest >= 0) return {0, (1 << bits) - 1, 0};
  return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1, 0};
}

inline void keep_worst(std::vector<overflow_bound>& bounds, const overflow_bound& b) {
  const auto same = std::find_if(bounds.begin(), bounds.end(),
                                 [&](const overflow_bound& other) { return other.what == b.what; });
  if (same == bounds.end()) {
    bounds.push_back(b);
  } else if (b.use() > same->use()) {
    *same = b;
  }
}

}  // namespace detail

inline safety_report check_integer_safety(const integer_layer& layer,
                                          const integer_target& target) {
  safety_report report{layer.name, target, {}, 8, 127};
  const auto keep = [&](overflow_check what, index_type output, double lowest, double highest,
                        int bits) {
    detail::keep_worst(report.bounds, {what, output, lowest, highest, bits});
  };
  for (index_type n = 0; n < layer.outputs; ++n) {
    detail::sum_ends all;
    std::int64_t weights = 0;
    for (const std::int8_t w : layer.row(n)) {
      all.add(w, layer.inputs);
      weights += w;
    }
    if (target.neighbours > 1) {
      detail::for_each_neighbourhood(
          layer.row(n), target.neighbours, layer.inputs, [&](const detail::sum_ends& s) {
            keep(overflow_check::neighbours, n, static_cast<double>(s.lowest),
                 static_cast<double>(s.highest), target.neighbour_bits);
          });
    }
    keep(overflow_check::accumulator, n, static_cast<double>(all.lowest),
         static_cast<double>(all.highest), target.accumulator_bits);

    const double bias = layer.bias.empty() ? 0 : layer.bias[static_cast<std::size_t>(n)];
    if (!layer.bias.empty()) keep(overflow_check::bias, n, bias, bias, 32);
    const double moved = bias - static_cast<double>(weights * layer.inputs.zero_point);
    const double lowest = static_cast<double>(all.lowest) + moved;
    const double highest = static_cast<double>(all.highest) + moved;
    keep(overflow_check::result, n, lowest, highest, 32);
    if (!layer.shifts.empty()) {
      const int shift = layer.shifts[layer.shifts.size() == 1 ? 0 : static_cast<std::size_t>(n)];
      const double left = shift > 0 ? std::ldexp(1.0, shift) : 1;
      keep(overflow_check::shift, n, lowest * left, highest * left, 32);
    }
  }

  if (target.neighbours > 1 && !detail::neighbours_fit(layer, target, layer.inputs)) {
    do {
      --report.safe_input_bits;
    } while (report.safe_input_bits > 0 &&
             !detail::neighbours_fit(layer, target,
                                     detail::narrowed(layer.inputs, report.safe_input_bits)));
    const std::int64_t input =
        (std::max)(std::int64_t{layer.inputs.highest}, -std::int64_t{layer.inputs.lowest});
    const std::int64_t most = (std::int64_t{1} << (target.neighbour_bits - 1)) - 1;
    report.safe_weight = static_cast<std::int32_t>(
        input == 0 ? 127 : (std::min)(std::int64_t{127}, most / (target.neighbours * input)));
  }
  return report;
}

// A sentence for every bound that does not hold; one sentence where all do.
inline std::string describe(const safety_report& report) {
  const auto integer = [](double x) { return static_cast<std::int64_t>(x); };
  std::string text;
  for (const overflow_bound& b : report.bounds) {
    if (b.safe()) continue;
    constexpr const char* sums[] = {"sums of neighbouring products", "the accumulator",
                                    "the sum with bias and zero point", "the bias",
                                    "the sum shifted left"};
    const bool above = b.highest / b.most() >= b.lowest / (-b.most() - 1);
    if (!text.empty()) text += '\n';
    text += sentence(report.layer, ": on ", report.target.name, " ", sums[static_cast<int>(b.what)],
                     " reach ", integer(above ? b.highest : b.lowest), " where ",
                     integer(above ? b.most() : -b.most() - 1), " is the limit (output ", b.output,
                     ")");
    if (b.what == overflow_check::neighbours) {
      text += sentence("; safe with input codes of ", report.safe_input_bits,
                       " bits, or with weights up to ", report.safe_weight);
    }
  }
  return text.empty() ? sentence(report.layer, ": safe on ", report.target.name) : text;
}

}  // namespace vq::inline v1

#endif
