// Sensitivity from a layer's own error, where running the model for every layer and format is dear.
//
//   const auto cost = [&](vq::index_type layer, vq::index_type format) -> ... {
//     // Q(W) of this layer in this format, then one number for each subset of the data:
//     return std::vector<double>{vq::fisher_error(squared_gradients, weight, quantized), ...};
//   };
//   auto table = vq::analyze_sensitivity(layers, formats, vq::additive_cost(cost));   // as usual
//
//   output noise   E |e|^2 / E |y|^2, y = W x, e = (Q(W) - W) x           output_noise
//                  1/2 E sum g^2 e^2, g = dL/dy of the sample             output_noise::weighted
//   Fisher         1/2 sum E[(dL/dw)^2] (Q(w) - w)^2                      fisher_error
//   second order   1/2 Tr(H)/n |Q(W) - W|^2                               trace_error
//
// Where L is the divergence from the float model, the last three estimate that divergence itself, so
// they can be compared with measured ones. The gradient of that divergence is 0 at the float model;
// take the gradient of a label, or of a random vector whose covariance is the Hessian of the loss
// with respect to the logits (no labels needed). A signal-to-noise ratio in decibels is for people:
// plans add costs, and decibels do not add, so the ratio of noise to signal is the cost.
//
// What it takes for all L layers and F formats together, over N items of data: output noise N runs of
// the model; Fisher N runs forwards and backwards (about three); the trace of H as much, or for each
// probe a Hessian-vector product (about six runs). Measuring takes L F N runs.
//
// When they mislead. Output noise does not know what the model makes of an error: a layer whose output
// hardly matters counts as much as any other. Fisher and second order are parabolas around the float
// model: at 2 or 3 bits errors are no longer small, the loss flattens out, and the order of the layers
// that hurt most is no longer theirs. Fisher takes errors of weights to be unrelated, which per-channel
// clipping and offsets are not. Tr(H)/n spreads the layer's curvature evenly over its weights. None of
// them sees two layers together. Measure the plan as a whole before relying on it.
//
// Sources: Fisher: Yuan et al., PTQ4ViT (2022), eq. 6; g^2 e^2: the score of NVIDIA's ModelOpt; trace:
// Dong et al., HAWQ-V2 (2020), eq. 8; Hutchinson (1990).
#ifndef VQ_ANALYZE_SENSITIVITY_PROXY_HPP
#define VQ_ANALYZE_SENSITIVITY_PROXY_HPP

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <vq/analyze/compensated_sum.hpp>
#include <vq/analyze/sensitivity.hpp>
#include <vq/core/result.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

template <class F>
concept layer_cost = requires(F f, index_type layer, index_type format) {
  { f(layer, format) } -> std::convertible_to<result<std::vector<double>, failure>>;
};

// What analyze_sensitivity calls: the sum of the costs of all layers that have a format. All costs
// have one number for each subset. Errors: those of the cost, bad_argument (a different number).
template <layer_cost Cost>
auto additive_cost(Cost cost) {
  return [cost = std::move(cost)](std::span<const index_type> choice,
                                  index_type) -> result<std::vector<double>, failure> {
    std::vector<double> sum;
    bool first = true;
    for (std::size_t l = 0; l < choice.size(); ++l) {
      if (choice[l] == untouched) continue;
      result<std::vector<double>, failure> found = cost(static_cast<index_type>(l), choice[l]);
      if (!found) return found;
      if (std::exchange(first, false)) sum.assign(found->size(), 0.0);
      if (found->size() != sum.size()) {
        return failure{status::bad_argument,
                       "sensitivity: the costs of two layers are of different numbers of subsets"};
      }
      for (std::size_t s = 0; s < sum.size(); ++s) sum[s] += (*found)[s];
    }
    return sum;
  };
}

namespace detail {

// Sixteen sums side by side, which compilers keep in registers.
inline float dot_in_lanes(const float* a, const float* b, index_type count) noexcept {
  constexpr index_type lanes = 16;
  float sums[lanes] = {};
  index_type i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (index_type k = 0; k < lanes; ++k) sums[k] += a[i + k] * b[i + k];
  }
  float sum = 0;
  for (; i < count; ++i) sum += a[i] * b[i];
  for (const float s : sums) sum += s;
  return sum;
}

}  // namespace detail

// Errors of a layer's outputs over samples of its inputs; mergeable.
struct output_noise {
  double signal = 0;    // sum of y^2
  double error = 0;     // sum of e^2
  double weighted = 0;  // sum of (g e)^2
  index_type samples = 0;

  // 0 without error; infinite where the outputs are zero and the errors are not.
  double noise_to_signal() const noexcept { return error == 0 ? 0 : error / signal; }
  double sqnr_db() const noexcept { return -10 * std::log10(noise_to_signal()); }

  void merge(const output_noise& o) noexcept {
    signal += o.signal;
    error += o.error;
    weighted += o.weighted;
    samples += o.samples;
  }
};

// Of y = W x for every row x of `inputs` (samples, in). Weights are (out, in), and contiguous;
// `gradients`: dL/dy, (samples, out), or empty. Memory: none. Errors: size_mismatch.
inline result<output_noise> noise_of_outputs(tensor_view<const float, 2> inputs,
                                             tensor_view<const float, 2> weight,
                                             tensor_view<const float, 2> quantized,
                                             std::span<const float> gradients = {}) {
  const index_type samples = inputs.extent(0), in = inputs.extent(1), out = weight.extent(0);
  if (weight.extent(1) != in || weight.extents() != quantized.extents()) {
    return status::size_mismatch;
  }
  if (!gradients.empty() && std::ssize(gradients) != samples * out) return status::size_mismatch;
  output_noise all;
  all.samples = samples;
  for (index_type r = 0; r < samples; ++r) {
    const float* const x = inputs.data_handle() + r * in;
    for (index_type o = 0; o < out; ++o) {
      const double y = detail::dot_in_lanes(weight.data_handle() + o * in, x, in);
      const double e = detail::dot_in_lanes(quantized.data_handle() + o * in, x, in) - y;
      all.signal += y * y;
      all.error += e * e;
      if (gradients.empty()) continue;
      const double g = gradients[static_cast<std::size_t>(r * out + o)];
      all.weighted += g * g * e * e;
    }
  }
  return all;
}

// `squared_gradients`: the mean over the data of (dL/dw)^2, for every weight, of the sum of the loss
// over one item. Errors: size_mismatch.
inline result<double> fisher_error(std::span<const float> squared_gradients,
                                   std::span<const float> weight,
                                   std::span<const float> quantized) noexcept {
  if (weight.size() != quantized.size() || weight.size() != squared_gradients.size()) {
    return status::size_mismatch;
  }
  compensated_sum sum;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double e = double{quantized[i]} - double{weight[i]};
    sum.add(squared_gradients[i] * e * e);
  }
  return sum.value() / 2;
}

// `trace`: of the Hessian with respect to all weights of the layer; the sum of squared_gradients is
// that of its Gauss-Newton part. Errors: size_mismatch, no_data.
inline result<double> trace_error(double trace, std::span<const float> weight,
                                  std::span<const float> quantized) noexcept {
  if (weight.size() != quantized.size()) return status::size_mismatch;
  if (weight.empty()) return status::no_data;
  compensated_sum squares;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double e = double{quantized[i]} - double{weight[i]};
    squares.add(e * e);
  }
  return trace / static_cast<double>(weight.size()) * squares.value() / 2;
}

struct trace_estimate {
  double trace = 0;
  double standard_error = (std::numeric_limits<double>::infinity)();  // for a single probe
};

template <class F>
concept hessian_product = requires(F f, std::span<const float> v, std::span<float> hv) {
  { f(v, hv) } -> std::convertible_to<status>;
};

// Hutchinson's estimate of Tr(H), H of n x n: the mean of v^T H v over random v of +-1. The caller's
// product(v, to) writes H v to `to`. Exact with one probe where H is diagonal; otherwise the variance
// of a probe is twice the sum of squares off the diagonal. Errors: no_data (no weights or probes),
// those of the product, not_finite.
template <hessian_product Product>
result<trace_estimate> hutchinson_trace(index_type n, index_type probes, const Product& product,
                                        std::uint64_t seed = 1) {
  if (n < 1 || probes < 1) return status::no_data;
  std::mt19937_64 random(seed);
  std::vector<float> v(static_cast<std::size_t>(n)), hv(v.size());
  std::vector<double> found;
  for (index_type p = 0; p < probes; ++p) {
    for (float& x : v) x = (random() >> 63) == 0 ? -1.f : 1.f;
    if (const status s = product(std::span<const float>(v), std::span<float>(hv));
        s != status::ok) {
      return s;
    }
    compensated_sum sum;
    for (std::size_t i = 0; i < v.size(); ++i) sum.add(double{v[i]} * double{hv[i]});
    if (!std::isfinite(sum.value())) return status::not_finite;
    found.push_back(sum.value());
  }
  const std::vector<double> nothing(found.size());
  const paired_difference d = compare_pairs(found, nothing);
  return trace_estimate{d.mean, d.standard_error};
}

}  // namespace vq::inline v1

#endif
