// Softmax of integer scores without floats, with log2 codes out (FQ-ViT's log-int-softmax).
//
//   d     = score - largest of the row, in units of `scale`; exp(d scale) = 2^-q p(r)
//   q     = d / -L,  r = d + q L,  L = ceil(0.6931 / scale)
//   p(r)  = r (r + b) + c,  b = floor(2.7073 / scale), c = floor(2.7921 / scale^2)   (I-BERT)
//   e     = p(r) 2^(n - q);  ratio = round(sum of e / e)
//   code  = floor(log2 ratio), one more from 1.5 * 2^code on; the top code, 2^bits - 1, is 0
//
// From the accumulators of Q K^T to what log2_scale<bits> decodes with scale 1, so softmax and the
// product with V (code_planes.hpp, planar_linear.hpp) run without a float. `scale` is that of Q
// times that of K over sqrt(features per head). Codes change at 1.5 (the arithmetic middle of two
// powers of two), where log2_scale changes at 1.414.
// How good: p is within 0.4 % of exp, and an octave is a whole number L of steps: 1 % too long at a
// scale of 0.02, useless at 0.3 (0.09 of a probability). Accumulators of 8-bit codes have scales
// near 0.001. n is 30,
// less where sums of `tokens` would leave 63 bits; what lies below 2^-n of the largest counts as 2^-n.
// A row of one token gets code 0, equal scores the code of their number. No data, no heap.
// Sources: Lin et al. 2022 (FQ-ViT, arXiv 2111.13824, algorithm 1), Kim et al. 2021 (I-BERT, arXiv
// 2101.01321, section 3.5).
#ifndef VQ_NN_INTEGER_SOFTMAX_HPP
#define VQ_NN_INTEGER_SOFTMAX_HPP

#include <bit>
#include <cstdint>
#include <limits>
#include <span>

#include <vq/core/config.hpp>
#include <vq/core/result.hpp>

namespace vq::inline v1 {

// e^(d scale) for d <= 0, as an integer: e = exp(d scale) c 2^n, nearly.
struct integer_exp {
  std::int64_t octave = 1;  // L
  std::int64_t b = 0, c = 1;
  int shift = 30;  // n

  constexpr std::int64_t operator()(std::int64_t d) const noexcept {
    const std::int64_t lowest = -shift * octave;
    const std::int64_t x = d < lowest ? lowest : d;
    const std::int64_t q = -x / octave, r = x + q * octave;
    const std::int64_t p = r * (r + b) + c;
    return p > 0 ? p << (shift - q) : 0;
  }
};

// bad_argument: a scale that is not positive and finite, larger than 1/2, or so small that fewer than
// 16 octaves fit into sums of `tokens` terms.
constexpr result<integer_exp> fit_integer_exp(float scale, index_type tokens) noexcept {
  if (!(scale >= 0x1p-20f && scale <= 0.5f) || tokens < 1) return status::bad_argument;
  // As the original computes them: constants in double, quotients in float.
  constexpr double a = 0.35815147;
  integer_exp e;
  const float octave = static_cast<float>(0.6931) / scale;
  e.octave = static_cast<std::int64_t>(octave);
  if (static_cast<float>(e.octave) < octave) ++e.octave;
  e.b = static_cast<std::int64_t>(static_cast<float>(0.96963238 / a) / scale);
  e.c = static_cast<std::int64_t>(static_cast<float>(1 / a) / (scale * scale));
  const int used = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(e.c)) +
                                    std::bit_width(static_cast<std::uint64_t>(tokens)));
  if (62 - used < e.shift) e.shift = 62 - used;  // twice the sum fits, for rounding
  if (e.shift < 16) return status::bad_argument;
  return e;
}

// -log2(e / sum) as above; e > 0.
constexpr std::int32_t log2_ratio(std::int64_t sum, std::int64_t e) noexcept {
  const auto ratio = static_cast<std::uint64_t>((2 * sum + e) / (2 * e));
  const auto floor = static_cast<int>(std::bit_width(ratio)) - 1;
  const bool upper = 2 * (ratio - (std::uint64_t{1} << floor)) >= (std::uint64_t{1} << floor);
  return static_cast<std::int32_t>(floor) + (upper ? 1 : 0);
}

// `scores` and `codes` are rows of `tokens`. bad_argument (fit_integer_exp; bits outside [2, 8]; rows
// that are not whole), too_few_codes. Scores may be any int32.
constexpr status integer_softmax(std::span<const std::int32_t> scores, index_type tokens,
                                 float scale, int bits, std::span<std::uint8_t> codes) noexcept {
  const auto exp = fit_integer_exp(scale, tokens);
  if (!exp) return exp.error();
  const auto size = static_cast<index_type>(scores.size());
  if (bits < 2 || bits > 8 || size % tokens != 0) return status::bad_argument;
  if (codes.size() < scores.size()) return status::too_few_codes;
  const std::int32_t top = (1 << bits) - 1;
  for (index_type row = 0; row < size; row += tokens) {
    const std::int32_t* const x = scores.data() + row;
    std::int64_t most = x[0], sum = 0;
    for (index_type i = 1; i < tokens; ++i) most = x[i] > most ? x[i] : most;
    for (index_type i = 0; i < tokens; ++i) sum += (*exp)(x[i] - most);
    for (index_type i = 0; i < tokens; ++i) {
      const std::int64_t e = (*exp)(x[i] - most);
      const std::int32_t code = e > 0 ? log2_ratio(sum, e) : top;
      codes[static_cast<std::size_t>(row + i)] = static_cast<std::uint8_t>(code < top ? code : top);
    }
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
