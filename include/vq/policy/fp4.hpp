// FP4 as bitsandbytes has it: a sign, two exponent bits and a mantissa bit, divided by 12.
//
//   code  s000   s001     s010  s011  s100  s101  s110  s111
//   level    0   1/192     2/3     1   1/3   1/2   1/6   1/4     times -1 where s is 1
//
// Not the FP4 of OCP Microscaling (policy/minifloat.hpp, e2m1): other order, other magnitudes.
// NF4 fits normal weights better; this one is for checkpoints that have it (it is bitsandbytes'
// default). Codes do not rise with their levels. Both zeros are +0: values in (0, 1/384] get code 8,
// those in [-1/384, 0] code 0, as bitsandbytes' portable backend has it (its CUDA kernel exchanges
// them, and rounds five of its seven midpoints).
#ifndef VQ_POLICY_FP4_HPP
#define VQ_POLICY_FP4_HPP

#include <vq/policy/codebook.hpp>

namespace vq::inline v1 {

struct fp4_table {
  static constexpr const char* name = "fp4";
  static constexpr float levels[16] = {
      0.f,
      0.0052083334885537624f,
      0.6666666865348816f,
      1.f,
      0.3333333432674408f,
      0.5f,
      0.1666666716337204f,
      0.25f,
      0.f,
      -0.0052083334885537624f,
      -0.6666666865348816f,
      -1.f,
      -0.3333333432674408f,
      -0.5f,
      -0.1666666716337204f,
      -0.25f,
  };
};

using fp4 = codebook<fp4_table>;

static_assert(quantizer_policy<fp4> && has_short_run_rule<fp4>);
static_assert(fp4::bits == 4 && !fp4::rising.rise && fp4::rising.largest == 1);

}  // namespace vq::inline v1

#endif
