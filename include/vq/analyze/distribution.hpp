// What kind of distribution a tensor has, and which format suits it.
//
//   auto shape = vq::describe_distribution(x);                  // result: evidence and verdicts
//   using formats = vq::menu<vq::quantizer<vq::uniform<4, vq::asymmetric>>,
//                            vq::quantizer<vq::twin_uniform<4>>, vq::quantizer<vq::log_sqrt2_scale<4>>>;
//   auto scores = vq::compare_formats(formats{}, x);            // dB of each, fitted to x
//   (*scores)[vq::best_of(*scores)].name
//
// The recommendation is by outcome: every candidate is fitted to the data with the least squared
// error and measured on them. The evidence explains it; no threshold on it decides.
// A count of values near one, which is often used to find two-peaked attention, is blind: each row
// of a softmax has one value above 1/2 at most, so with N tokens at most 1/N of all values, less
// than 5 % from 20 tokens on. Mass is what to look at: peak_mass, attention_peaks.
#ifndef VQ_ANALYZE_DISTRIBUTION_HPP
#define VQ_ANALYZE_DISTRIBUTION_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <vq/analyze/metrics.hpp>
#include <vq/calibrate/fit.hpp>
#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/menu.hpp>

namespace vq::inline v1 {

struct distribution {
  range seen = empty_range;
  double mean = 0;
  double deviation = 0;
  double skewness = 0;         // E ((x - mean) / deviation)^3
  double excess_kurtosis = 0;  // E ((x - mean) / deviation)^4 - 3; 0 for a normal distribution
  // Sarle's coefficient, (skewness^2 + 1) / (kurtosis with the correction for small samples): 5/9
  // for a uniform distribution, more hints at two peaks or a heavy skew.
  double bimodality = 0;
  double peak_mass = 0;      // share of sum |x| in values above half the largest magnitude
  double channel_ratio = 1;  // largest to median absmax over the last axis

  // Most values lie near the middle, few far away.
  bool peaked() const noexcept { return excess_kurtosis > 3; }
  // A crowd of small values, and few large ones that carry much of the sum.
  bool two_peaked() const noexcept { return bimodality > 5. / 9 && peak_mass > 0.1; }
  // One side of zero is at most a tenth of the other: after ReLU, GELU, softmax.
  bool one_sided() const noexcept {
    const double low = std::fabs(double{seen.lowest}), high = std::fabs(double{seen.highest});
    return seen.lowest >= 0 || seen.highest <= 0 ||
           (std::min)(low, high) < 0.1 * (std::max)(low, high);
  }
  // Some channels are much wider than most: after LayerNorm, folded convolutions.
  bool channel_skewed() const noexcept { return channel_ratio > 8; }
};

// no_data for an empty tensor, not_finite where a value is NaN or infinite. A constant has deviation
// 0 and no skewness, kurtosis and bimodality. Three passes, in double.
template <readable_view V>
result<distribution> describe_distribution(const V& x) {
  if (x.empty()) return status::no_data;
  const index_type size = x.size(), channels = x.extents().back();
  std::vector<float> widest(static_cast<std::size_t>(channels));
  distribution d;
  bool finite = true;
  compensated_sum sum;
  const auto for_each = [&](auto f) {
    for_each_chunk(x, 0, size, [&](index_type begin, const float* values, index_type count) {
      for (index_type i = 0; i < count; ++i) f(begin + i, values[i]);
    });
  };
  for_each([&](index_type at, float value) {
    finite = finite && std::isfinite(value);
    d.seen = hull(d.seen, {value, value});
    sum.add(double{value});
    float& most = widest[static_cast<std::size_t>(at % channels)];
    most = (std::max)(most, std::fabs(value));
  });
  if (!finite) return status::not_finite;

  const auto n = static_cast<double>(size);
  d.mean = sum.value() / n;
  const double half_peak = double{d.seen.absmax()} / 2;
  compensated_sum square, cube, fourth, magnitude, above;
  for_each([&](index_type, float value) {
    const double e = double{value} - d.mean, size_of = std::fabs(double{value});
    square.add(e * e);
    cube.add(e * e * e);
    fourth.add(e * e * e * e);
    magnitude.add(size_of);
    if (size_of > half_peak) above.add(size_of);
  });
  const double variance = square.value() / n;
  d.deviation = std::sqrt(variance);
  if (variance > 0) {
    d.skewness = cube.value() / n / (variance * d.deviation);
    d.excess_kurtosis = fourth.value() / n / (variance * variance) - 3;
    const double correction = n > 3 ? 3 * (n - 1) * (n - 1) / ((n - 2) * (n - 3)) : 3;
    d.bimodality = (d.skewness * d.skewness + 1) / (d.excess_kurtosis + correction);
  }
  if (magnitude.value() > 0) d.peak_mass = above.value() / magnitude.value();
  std::sort(widest.begin(), widest.end());
  if (const float median = widest[widest.size() / 2]; median > 0) {
    d.channel_ratio = double{widest.back()} / double{median};
  }
  return d;
}

// Rows of probabilities along the last axis.
struct attention_peaks {
  double mean_max = 0;          // of the largest value of a row
  double effective_tokens = 0;  // mean over the rows of 1 / sum p^2: 1 is sharp, N diffuse
  double mass_above_half = 0;   // mean over the rows of the sum of values above 1/2
};

// no_data for an empty tensor.
template <readable_view V>
result<attention_peaks> describe_attention(const V& probabilities) {
  if (probabilities.empty()) return status::no_data;
  const index_type tokens = probabilities.extents().back(), rows = probabilities.size() / tokens;
  attention_peaks all;
  for (index_type r = 0; r < rows; ++r) {
    double most = 0, squares = 0, above = 0;
    for_each_chunk(probabilities, r * tokens, tokens,
                   [&](index_type, const float* p, index_type count) {
                     for (index_type i = 0; i < count; ++i) {
                       most = (std::max)(most, double{p[i]});
                       squares += double{p[i]} * double{p[i]};
                       if (p[i] > 0.5f) above += double{p[i]};
                     }
                   });
    all.mean_max += most / static_cast<double>(rows);
    all.effective_tokens += squares > 0 ? 1 / squares / static_cast<double>(rows) : 0;
    all.mass_above_half += above / static_cast<double>(rows);
  }
  return all;
}

struct format_score {
  const char* name = "";
  int bits = 0;
  double sqnr_db = 0;
};

// Each quantizer of the menu, with the parameters of least squared error for x, measured on x. The
// statuses of fit.
template <a_quantizer... Q, readable_view V>
result<std::array<format_score, sizeof...(Q)>> compare_formats(menu<Q...> formats, const V& x,
                                                               const mse& how = {}) {
  std::array<format_score, sizeof...(Q)> scores;
  std::vector<float> y(static_cast<std::size_t>(x.size()));
  const tensor_view<float, V::rank()> out{y.data(), x.extents()};
  status outcome = x.empty() ? status::no_data : status::ok;
  formats.for_each([&](index_type number, auto q) {
    if (outcome != status::ok) return;
    using quantizer_type = decltype(q);
    using policy_type = typename quantizer_type::policy_type;
    std::vector<typename quantizer_type::param_type> params(
        static_cast<std::size_t>(q.required(x).params));
    outcome = fit(q, x, params, how);
    if (outcome != status::ok) return;
    outcome = fake_quantize(q, x, params, out);
    if (outcome != status::ok) return;
    const auto error = compare(x, out);
    outcome = error ? status::ok : error.error();
    if (!error) return;
    scores[static_cast<std::size_t>(number)] = {policy_type::name, policy_type::bits,
                                                error->sqnr_db()};
  });
  if (outcome != status::ok) return outcome;
  return scores;
}

// The first of the highest scores.
template <std::size_t N>
std::size_t best_of(const std::array<format_score, N>& scores) {
  const auto less = [](const format_score& a, const format_score& b) {
    return a.sqnr_db < b.sqnr_db;
  };
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end(), less) -
                                  scores.begin());
}

}  // namespace vq::inline v1

#endif
