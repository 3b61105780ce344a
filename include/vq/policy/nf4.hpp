// NF4, the 4-bit NormalFloat of QLoRA: levels at the quantiles of the normal distribution.
//
//   vq::quantizer<vq::nf4, vq::per_block<64>>
//
// Suits weights, which are close to normal in blocks of 64: 20.7 dB on N(0, 1), against 19.4 dB of
// uniform<4> with the same blocks. 4 bits and a float per block: 4.5 bits a weight.
// Not symmetric: eight levels above zero, seven below, zero at code 7; so dequantized weights have
// a mean of about +0.0007 of their deviation, by construction.
// Rules and edge cases: policy/codebook.hpp. Source: Dettmers et al. 2023 (arXiv 2305.14314),
// appendix E; the numbers are those of bitsandbytes (create_normal_map, offset 0.9677083).
#ifndef VQ_POLICY_NF4_HPP
#define VQ_POLICY_NF4_HPP

#include <vq/policy/codebook.hpp>

namespace vq::inline v1 {

struct nf4_table {
  static constexpr const char* name = "nf4";
  static constexpr float levels[16] = {
      -1.f,
      -0.6961928009986877f,
      -0.5250730514526367f,
      -0.39491748809814453f,
      -0.28444138169288635f,
      -0.18477343022823334f,
      -0.09105003625154495f,
      0.f,
      0.07958029955625534f,
      0.16093020141124725f,
      0.24611230194568634f,
      0.33791524171829224f,
      0.44070982933044434f,
      0.5626170039176941f,
      0.7229568362236023f,
      1.f,
  };
};

using nf4 = codebook<nf4_table>;

static_assert(quantizer_policy<nf4> && has_short_run_rule<nf4>);
static_assert(nf4::bits == 4 && nf4::rising.rise && nf4::rising.largest == 1);

}  // namespace vq::inline v1

#endif
