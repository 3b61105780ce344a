// Percentile: the narrowest range, in whole bins, that leaves at most a given share outside.
//
//   symmetric policies   T: at most (100 - percent) % of the values have |x| > T
//   others               at most half of that share lies below, and half above
//
// The result is never beyond the smallest and largest value seen, so 100 gives min-max exactly. It
// is wider than the exact quantile by less than a bin: 1/2048 of the largest magnitude or less.
// Choose it for activations with a few outliers; 99.99 is usual for 8 bits. Fewer than
// 100 / (100 - percent) values are never cut.
#ifndef VQ_CALIBRATE_PERCENTILE_HPP
#define VQ_CALIBRATE_PERCENTILE_HPP

#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/histogram.hpp>

namespace vq::inline v1 {

struct percentile {
  using estimator_tag = void;

  double percent = 99.99;  // 0 < percent <= 100

  template <quantizer_policy Policy>
  result<range> estimate(const histogram& h, const Policy&) const {
    return symmetric_range<Policy> ? symmetric(h) : two_sided(h);
  }

  result<range> symmetric(const histogram& h) const {
    if (const status s = check(h); s != status::ok) return s;
    const histogram m = magnitudes(h);
    const double limit = m.edge(bins_kept(m.counts.rbegin(), m.counts.rend(), 1, m.total()));
    return h.clipped(-limit, limit);
  }

  result<range> two_sided(const histogram& h) const {
    if (const status s = check(h); s != status::ok) return s;
    const double total = h.total();
    const index_type above = bins_kept(h.counts.rbegin(), h.counts.rend(), 0.5, total);
    const index_type below = bins_kept(h.counts.begin(), h.counts.end(), 0.5, total);
    return h.clipped(h.edge(h.size() - below), h.edge(above));
  }

 private:
  status check(const histogram& h) const {
    if (!(percent > 0 && percent <= 100)) return status::bad_argument;
    return h.sound() ? status::ok : status::no_data;
  }
  // How many bins are left when, from `begin` on, bins are dropped as long as their sum stays
  // within `share` of what may be cut off.
  template <class Iterator>
  index_type bins_kept(Iterator begin, Iterator end, double share, double total) const {
    // 100 - 99.9 is not 0.1 exactly: one of 1000 values may go all the same.
    constexpr double rounding = 1 + 1e-9;
    const double most = share * (100 - percent) / 100 * total * rounding;
    double cut = 0;
    while (begin != end && cut + *begin <= most) cut += *begin++;
    return static_cast<index_type>(end - begin);
  }
};

static_assert(estimator<percentile>);

}  // namespace vq::inline v1

#endif
