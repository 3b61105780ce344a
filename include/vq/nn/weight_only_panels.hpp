// Weights of 4 or 8 bits under activations that stay floats: the packed form, and the product of
// one panel of it.
//
//   y[m][n] = sum over blocks b of scale[n][b] * sum over k in b of x[m][k] * w[n][k]
//   w[n][k] = levels[code] - zero[n][b]            4 bits: any table of 16 levels
//           = code                                 8 bits: int8
//
// The packed form is a byte stream that can be stored. A panel holds 64 outputs (those beyond the
// last are zeros with a scale of zero) and is a sequence of records, one for each block of k, so
// that a product with one row of x reads the whole matrix from its first byte to its last:
//
//   record = codes, 64 scales (float, half or bfloat16), 64 zero points (int8; only if there are)
//
// Codes come in steps of 8 k. With 4 bits a step is 64 little-endian 32-bit words, one for each
// output: k = 2i lies in the bits from 4i on, k = 2i + 1 in those from 16 + 4i on. With 8 bits it
// is twice 64 words, of the bytes k = 0 4 1 5 and of k = 2 6 3 7, each stored as code + 128. A
// register of words so yields pairs (k, k + 1) of 16-bit values or fours of bytes by shifts alone.
// A last step that inputs do not fill is padded; x is zero there.
#ifndef VQ_NN_WEIGHT_ONLY_PANELS_HPP
#define VQ_NN_WEIGHT_ONLY_PANELS_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <vq/core/config.hpp>
#include <vq/core/half.hpp>

namespace vq::inline v1 {

// How the scales of packed weights are stored. half and bfloat16 take 2 bytes instead of 4 and
// round the scale, unless it is one of theirs: files of GPTQ, AWQ and ggml hold halves.
enum class scale_format : std::uint8_t { float32, half, bfloat16 };

constexpr index_type scale_bytes(scale_format f) noexcept {
  return f == scale_format::float32 ? 4 : 2;
}

// What the codes mean, and how many weights share a scale.
struct weight_only_format {
  int bits = 4;
  bool zero_points = false;  // with 4 bits only, and levels[i] == i
  scale_format scales = scale_format::float32;
  index_type block = 64;  // a multiple of 8; of packed weights also where it holds all inputs
  float levels[16] = {};  // with 4 bits
  // For activations of 8 bits: levels[i] is taken as integer_levels[i] * integer_unit.
  std::int8_t integer_levels[16] = {};
  float integer_unit = 1;
};

// A view of packed weights: the bytes belong to the caller and must outlive it.
struct weight_only : weight_only_format {
  static constexpr index_type columns = 64;  // of a panel
  static constexpr index_type step = 8;      // of k
  static constexpr index_type longest = 256;

  const std::uint8_t* storage = nullptr;
  index_type outputs = 0;
  index_type inputs = 0;

  VQ_INLINE constexpr index_type panels() const noexcept {
    return (outputs + columns - 1) / columns;
  }
  VQ_INLINE constexpr index_type blocks() const noexcept { return (inputs + block - 1) / block; }
  VQ_INLINE constexpr index_type step_bytes() const noexcept { return columns * bits; }
  VQ_INLINE constexpr index_type code_bytes() const noexcept {
    return (block + step - 1) / step * step_bytes();
  }
  VQ_INLINE constexpr index_type record_bytes() const noexcept {
    return code_bytes() + columns * (scale_bytes(scales) + (zero_points ? 1 : 0));
  }
  VQ_INLINE constexpr index_type panel_bytes() const noexcept { return blocks() * record_bytes(); }
  constexpr index_type size_bytes() const noexcept { return panels() * panel_bytes(); }
  // Inputs, rounded up to whole steps.
  VQ_INLINE constexpr index_type depth() const noexcept {
    return (inputs + step - 1) / step * step;
  }
  // A block is multiplied in segments of at most 256 k, whose integer sums a float holds exactly.
  VQ_INLINE constexpr index_type segments_of_block() const noexcept {
    return (block + longest - 1) / longest;
  }
  VQ_INLINE constexpr index_type segments() const noexcept {
    const index_type last = depth() - (blocks() - 1) * block;
    return (blocks() - 1) * segments_of_block() + (last + longest - 1) / longest;
  }

  // Where in a record the code of the k-th input of the block and of an output begins: a byte, and
  // a shift in it.
  struct place {
    index_type byte;
    int shift;
  };
  constexpr place place_of(index_type k, index_type column) const noexcept {
    const index_type in_step = k % step, word = k / step * step_bytes() + column * 4;
    if (bits == 4) {
      const index_type nibble = in_step / 2 + in_step % 2 * 4;
      return {word + nibble / 2, static_cast<int>(nibble % 2 * 4)};
    }
    const index_type half_step = in_step / 2 % 2;  // k = 2 6 3 7 are in the second one
    return {word + half_step * columns * 4 + place_in_four(in_step), 0};
  }
  // Of the codes of 8 activations, k goes to place 4 * (k / 2 % 2) + place_in_four(k).
  static constexpr index_type place_in_four(index_type k) noexcept { return k / 4 % 2 + k % 2 * 2; }

  constexpr float scale_at(const std::uint8_t* record, index_type column) const noexcept {
    const std::uint8_t* from = record + code_bytes() + column * scale_bytes(scales);
    const auto low = static_cast<std::uint32_t>(from[0] | from[1] << 8);
    if (scales == scale_format::half) {
      return half::from_bits(static_cast<std::uint16_t>(low)).to_float();
    }
    if (scales == scale_format::bfloat16) return std::bit_cast<float>(low << 16);
    return std::bit_cast<float>(low | static_cast<std::uint32_t>(from[2] | from[3] << 8) << 16);
  }
  constexpr std::int32_t zero_at(const std::uint8_t* record, index_type column) const noexcept {
    if (!zero_points) return 0;
    const std::uint8_t* zeros = record + code_bytes() + columns * scale_bytes(scales);
    return static_cast<std::int8_t>(zeros[column]);
  }
  // The code as it is stored: 0..15, or int8 + 128.
  constexpr std::int32_t code_at(const std::uint8_t* record, index_type k,
                                 index_type column) const noexcept {
    const place p = place_of(k, column);
    return bits == 4 ? record[p.byte] >> p.shift & 15 : record[p.byte];
  }
};

// Rows of activations as the product takes them: floats, bfloat16, or int8 codes in the order of
// place_in_four. Each row has w.depth() of them, zeros beyond w.inputs.
template <class A>
struct activation_rows {
  const A* first = nullptr;
  index_type step = 0;  // from row to row
  index_type count = 0;
  const std::int32_t* sums = nullptr;  // of codes: of each segment of each row
};

template <class A>
concept weight_only_activation =
    std::same_as<A, float> || std::same_as<A, bfloat16> || std::same_as<A, std::int8_t>;

// Writes sums[m * 64 + n], without bias, for the 64 outputs of a panel and the rows of x.
//
//   float       x * level, summed in float
//   bfloat16    x * level rounded to bfloat16, summed in float. Products are exact; instructions
//               that add two of them at once may take subnormal numbers for zeros
//   int8        codes * integer_levels, summed exactly in each segment of k; the sums of segments
//               times their scale in float. Neither integer_unit nor the scale of the row is in it
//
// In which order floats are summed is up to the kernel, but the same for every call:
// |error| <= inputs * 2^-23 * sum of |x * w|. `scratch` has scratch_bytes, 64-aligned.
template <weight_only_activation A>
struct multiply_weights {
  // A segment of decoded weights (of 4 bytes at most), 64 scales, and 8 rows of x as floats.
  static constexpr index_type scratch_bytes =
      4 * (weight_only::longest * (weight_only::columns + 8) + weight_only::columns);

  void operator()(const weight_only& w, index_type panel, const activation_rows<A>& x, float* sums,
                  std::byte*) const noexcept {
    const std::uint8_t* records = w.storage + panel * w.panel_bytes();
    for (index_type m = 0; m < x.count; ++m) {
      for (index_type n = 0; n < weight_only::columns; ++n) {
        float sum = 0;
        for (index_type b = 0; b < w.blocks(); ++b) {
          const std::uint8_t* record = records + b * w.record_bytes();
          const float scale = w.scale_at(record, n);
          const index_type begin = b * w.block;
          const index_type count = w.inputs - begin < w.block ? w.inputs - begin : w.block;
          for (index_type from = 0; from < count; from += weight_only::longest) {
            const index_type left = count - from;
            sum += scale * segment(w, record, x.first + m * x.step + begin, from,
                                   left < weight_only::longest ? left : weight_only::longest, n);
          }
        }
        sums[m * weight_only::columns + n] = sum;
      }
    }
  }

 private:
  static float segment(const weight_only& w, const std::uint8_t* record, const A* x,
                       index_type from, index_type count, index_type n) noexcept {
    const std::int32_t zero = w.zero_at(record, n);
    if constexpr (std::same_as<A, std::int8_t>) {
      std::int32_t sum = 0;
      for (index_type k = from; k < from + count; ++k) {
        const index_type in_step = k % weight_only::step;
        const index_type place =
            k - in_step + in_step / 2 % 2 * 4 + weight_only::place_in_four(in_step);
        const std::int32_t code = w.code_at(record, k, n);
        sum += x[place] * (w.bits == 4 ? w.integer_levels[code] - zero : code - 128);
      }
      return static_cast<float>(sum);
    } else {
      float sum = 0;
      for (index_type k = from; k < from + count; ++k) {
        const std::int32_t code = w.code_at(record, k, n);
        const float level = w.bits == 4 ? w.levels[code] - static_cast<float>(zero)
                                        : static_cast<float>(code - 128);
        if constexpr (std::same_as<A, bfloat16>) {
          sum += x[k].to_float() * bfloat16(level).to_float();
        } else {
          sum += x[k] * level;
        }
      }
      return sum;
    }
  }
};

}  // namespace vq::inline v1

#endif
