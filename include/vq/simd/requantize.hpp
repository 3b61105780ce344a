// Accumulators to codes or floats on registers: the last step of linear layers and convolutions.
//
// Channels that are neighbours in the output (channels last) are stored a register at a time, others
// one by one. Stages with fixed-point multipliers and stages of one's own keep the reference.
#ifndef VQ_SIMD_REQUANTIZE_HPP
#define VQ_SIMD_REQUANTIZE_HPP

#include <concepts>
#include <cstdint>

#include <vq/quantizer/requantize.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/held.hpp>

namespace vq::inline v1 {

namespace simd {

// The stages that give codes by float multipliers.
template <class Stage>
struct codes_stage {
  static constexpr bool possible = false;
};
template <std::integral Code>
struct codes_stage<to_codes<Code, float_multiplier>> {
  static constexpr bool possible = true;
  VQ_INLINE static const auto& product(const to_codes<Code>& stage) noexcept { return stage; }
};
template <std::integral Code, std::integral Addend>
struct codes_stage<to_codes_adding<Code, Addend>> {
  static constexpr bool possible = true;
  using addend_type = Addend;
  VQ_INLINE static const auto& product(const to_codes_adding<Code, Addend>& stage) noexcept {
    return stage.product;
  }
};

// A value of each channel in a register; `none` where there are none.
template <class Arch, class T, class V>
VQ_INLINE V of_channels(const channel_values<T>& from, index_type channel, index_type count,
                        V none) noexcept {
  if (from.size == 0) return none;
  if (from.size == 1) return V(from.data[0]);
  if (count == index_type{lanes_of<Arch>}) return V::load_unaligned(from.data + channel);
  T some[lanes_of<Arch>] = {};
  for (index_type i = 0; i < count; ++i) some[i] = from.data[channel + i];
  return V::load_unaligned(some);
}

}  // namespace simd

// Codes, with or without a residual.
template <class Stage, class Arch>
  requires(simd::codes_stage<Stage>::possible)
struct kernel<requantize_tile<Stage>, simd::on<Arch>> {
  using Code = typename Stage::output_type;
  using V = simd::floats<Arch>;
  using codes = simd::codes<Arch, bytes, Code>;
  static constexpr index_type width = lane<V>::size;

  [[gnu::flatten]] void operator()(const Stage& stage, const stage_tile<Code>& t) const noexcept {
    index_type c = 0;
    for (; c + 4 * width <= t.channels && t.out_channel_step == 1; c += 4 * width) {
      const constants k[4] = {{stage, t.first_channel + c, width},
                              {stage, t.first_channel + c + width, width},
                              {stage, t.first_channel + c + 2 * width, width},
                              {stage, t.first_channel + c + 3 * width, width}};
      for (index_type row = 0; row < t.rows; ++row) {
        const std::int32_t* acc = t.acc + row * t.acc_step + c;
        Code* out = t.out + row * t.out_step;
        codes::store_four({k[0].code(acc, stage, out + c, 1, width),
                           k[1].code(acc + width, stage, out + c + width, 1, width),
                           k[2].code(acc + 2 * width, stage, out + c + 2 * width, 1, width),
                           k[3].code(acc + 3 * width, stage, out + c + 3 * width, 1, width)},
                          out, c);
      }
    }
    for (; c < t.channels; c += width) {
      const index_type count = t.channels - c < width ? t.channels - c : width;
      const constants k(stage, t.first_channel + c, count);
      for (index_type row = 0; row < t.rows; ++row) {
        Code* out = t.out + row * t.out_step + c * t.out_channel_step;
        const V codes_of_row =
            k.code(t.acc + row * t.acc_step + c, stage, out, t.out_channel_step, count);
        if (t.out_channel_step == 1) {
          codes::store(codes_of_row, out, 0, count);
        } else {
          Code apart[simd::lanes_of<Arch>];
          codes::store(codes_of_row, apart, 0, width);
          for (index_type i = 0; i < count; ++i) out[i * t.out_channel_step] = apart[i];
        }
      }
    }
  }

 private:
  // Added to a float below 2^22, it leaves no bits below one (see lane<float>::round_even).
  static constexpr float magic = 12582912.f;

  // Of the channels of one register.
  struct constants {
    V factor, lowest, highest, from_magic;

    VQ_INLINE constants(const Stage& any_stage, index_type channel, index_type count) noexcept {
      const auto& stage = simd::codes_stage<Stage>::product(any_stage);
      factor = V(stage.multipliers.data->factor);
      lowest = V(static_cast<float>(stage.codes.lowest - stage.zero_point));
      highest = V(static_cast<float>(stage.codes.highest - stage.zero_point));
      from_magic = V(magic - static_cast<float>(stage.zero_point));
      if (stage.multipliers.size > 1) {
        factor = simd::load_some<Arch>(&stage.multipliers.data[channel].factor, count);
      }
      if (stage.highest.size > 0) {
        float most[simd::lanes_of<Arch>] = {};
        for (index_type i = 0; i < count; ++i) {
          const std::int32_t cut = stage.highest.data[stage.highest.size == 1 ? 0 : channel + i];
          const std::int32_t last = cut < stage.codes.highest ? cut : stage.codes.highest;
          most[i] = static_cast<float>(last - stage.zero_point);
        }
        highest = V::load_unaligned(most);
      }
    }

    // The code of `acc`, which goes to `out`.
    VQ_INLINE V code(const std::int32_t* acc, [[maybe_unused]] const Stage& stage,
                     [[maybe_unused]] const Code* out, [[maybe_unused]] index_type step,
                     [[maybe_unused]] index_type count) const noexcept {
      V real = xsimd::to_float(simd::ints<Arch>::load_unaligned(acc)) * factor;
      if constexpr (a_placed_stage<Stage>) {
        const V centred =
            residual(stage, out, step, count) - V(static_cast<float>(stage.addend_zero_point));
        real = apart(real) + apart(centred * V(stage.ratio));
      }
      return (op::clamp(real, lowest, highest) + V(magic)) - from_magic;
    }

   private:
    // Not fused with a sum. What cut() would change is beyond all limits with it and without.
    VQ_INLINE static V apart(V product) noexcept {
      return V(simd::held(static_cast<typename V::register_type>(product)));
    }
    VQ_INLINE static V residual(const Stage& stage, const Code* out, index_type step,
                                index_type count) noexcept
      requires a_placed_stage<Stage>
    {
      using addend_type = typename simd::codes_stage<Stage>::addend_type;
      using addends = simd::codes<Arch, bytes, addend_type>;
      const addend_type* from = stage.addend + (out - stage.output);
      if (step == 1) return addends::load(from, 0, count);
      addend_type together[simd::lanes_of<Arch>] = {};
      for (index_type i = 0; i < count; ++i) together[i] = from[i * step];
      return addends::load(together, 0, width);
    }
  };
};

template <class Stage, class Arch>
  requires(std::same_as<Stage, to_float> || std::same_as<Stage, to_float_by_row>)
struct kernel<requantize_tile<Stage>, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  using I = simd::ints<Arch>;

  [[gnu::flatten]] void operator()(const Stage& stage, const stage_tile<float>& t) const noexcept {
    simd::for_each_register<Arch>(t.channels, [&](index_type c, index_type count) {
      const index_type channel = t.first_channel + c;
      const V scale = simd::of_channels<Arch>(stage.scales, channel, count, V(1.f));
      const V bias = simd::of_channels<Arch>(stage.bias, channel, count, V(-0.f));  // of no effect
      [[maybe_unused]] I sum;
      if constexpr (a_placed_stage<Stage>) {
        sum = simd::of_channels<Arch>(stage.sums, channel, count, I(0));
      }
      for (index_type row = 0; row < t.rows; ++row) {
        I acc = I::load_unaligned(t.acc + row * t.acc_step + c);
        float* out = t.out + row * t.out_step + c * t.out_channel_step;
        V x;
        if constexpr (a_placed_stage<Stage>) {
          const affine_param p = stage.rows[stage.row_of(out, channel)];
          acc = acc - I(p.zero_point) * sum;
          x = xsimd::to_float(acc) * scale * V(p.scale);
        } else {
          x = xsimd::to_float(acc) * scale;
        }
        x = x + bias;
        if (t.out_channel_step == 1) {
          simd::store_some<Arch>(x, out, count);
        } else {
          float apart[simd::lanes_of<Arch>];
          x.store_unaligned(apart);
          for (index_type i = 0; i < count; ++i) out[i * t.out_channel_step] = apart[i];
        }
      }
    });
  }
};

}  // namespace vq::inline v1

#endif
