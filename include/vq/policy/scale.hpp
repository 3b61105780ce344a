// The parameter of formats whose codes stand for fixed numbers: value = number * scale.
#ifndef VQ_POLICY_SCALE_HPP
#define VQ_POLICY_SCALE_HPP

#include <limits>

#include <vq/core/range.hpp>

namespace vq::inline v1 {

// scale > 0; the default means "numbers are values".
struct scale_param {
  float scale = 1;
  friend constexpr bool operator==(const scale_param&, const scale_param&) noexcept = default;
};

// absmax becomes `largest`. A range of zeros, or of nothing, has scale 1; a scale below the smallest
// normal float, whose reciprocal would be infinite, becomes that.
constexpr scale_param fit_scale(range r, float largest) noexcept {
  constexpr float smallest = (std::numeric_limits<float>::min)();
  if (r.empty() || !(r.absmax() > 0)) return {};
  const float scale = r.absmax() / largest;
  return {scale > smallest ? scale : smallest};
}

}  // namespace vq::inline v1

#endif
