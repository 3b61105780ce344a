// The format of one tensor by outcome: every candidate is fitted to what calibration has seen, the
// one with the best signal-to-noise ratio wins.
#ifndef ENGINE_FORMAT_CHOICE_HPP
#define ENGINE_FORMAT_CHOICE_HPP

#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/calibrate/estimate_params.hpp>
#include <vq/calibrate/mse.hpp>

#include "engine/output_format.hpp"
#include "engine/transformer_scheme.hpp"

namespace engine {

// Calls f(policy) with the family's format of 8, 6 or 4 bits; log formats have 4.
template <class F>
void visit_family(format_family family, int bits, F f) {
  switch (family) {
    case format_family::affine:
      return visit_activation_format(bits, [&](auto q) { f(q.policy); });
    case format_family::twin:
      return bits == 8   ? f(vq::twin_uniform<8>{})
             : bits == 6 ? f(vq::twin_uniform<6>{})
                         : f(vq::twin_uniform<4>{});
    case format_family::twin_two_sided:
      return bits == 8   ? f(vq::twin_uniform<8, vq::two_sided>{})
             : bits == 6 ? f(vq::twin_uniform<6, vq::two_sided>{})
                         : f(vq::twin_uniform<4, vq::two_sided>{});
    case format_family::log2:
      return f(vq::log2_scale<4>{});
    case format_family::log_sqrt2:
      return f(vq::log_sqrt2_scale<4>{});
    case format_family::adaptive_log:
      return bits == 8   ? f(vq::adaptive_log<8>{})
             : bits == 6 ? f(vq::adaptive_log<6>{})
                         : f(vq::adaptive_log<4>{});
  }
}

// 10 log10(sum x^2 / sum (x - Q(x))^2) of the values that a histogram stands for.
template <vq::quantizer_policy Policy>
double expected_sqnr_db(const Policy& policy, const typename Policy::param_type& param,
                        const vq::histogram& seen) {
  double signal = 0, noise = 0;
  for (index_type bin = 0; bin < seen.size(); ++bin) {
    const double count = seen.counts[at(bin)];
    if (!(count > 0)) continue;
    const float x = seen.value(bin);
    const double error = double{x} - double{policy.decode(policy.encode(x, param), param)};
    signal += count * double{x} * double{x};
    noise += count * error * error;
  }
  return noise > 0 ? 10 * std::log10(signal / noise) : std::numeric_limits<double>::infinity();
}

struct scored_format {
  output_format format;
  double sqnr_db = 0;
};

// Candidates in the order of preference among equals. Errors: no_data, bad_argument (no candidate).
inline vq::result<scored_format> choose_format(const vq::histogram& seen, int bits, estimator how,
                                               std::span<const format_family> candidates) {
  std::optional<scored_format> best;
  for (const format_family family : candidates) {
    vq::status s = vq::status::ok;
    visit_family(family, bits, [&]<class Policy>(const Policy& policy) {
      const auto param = how == estimator::mse ? vq::mse{}.fit(policy, seen)
                                               : vq::estimate_params(policy, seen, vq::minmax{});
      if (!param) {
        s = param.error();
        return;
      }
      const output_format format = with_short_scale(coded<Policy>{*param});
      const double sqnr = expected_sqnr_db(policy, std::get<coded<Policy>>(format).param, seen);
      if (!best || sqnr > best->sqnr_db) best = scored_format{format, sqnr};
    });
    if (s != vq::status::ok) return s;
  }
  if (!best) return vq::status::bad_argument;
  return *std::move(best);
}

}  // namespace engine

#endif
