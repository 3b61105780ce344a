// Which values of a tensor share one parameter.
//
//   per_tensor          one parameter
//   per_channel<Axis>   one for every index of Axis, shared over all others: weights (out, in, ...)
//   per_token<Axis>     one for every index tuple up to and including Axis: activations
//                       (batch, token, channel) with Axis = 1 get batch * token parameters
//   per_group<N>        runs of N along the last axis, restarting in each row (GPTQ's group size)
//   per_block<N>        flat runs of N in row-major order (bitsandbytes' block size)
//
// All of them reduce to one object, `slices`: sizes and loops both come from it, so they cannot
// drift apart. A granularity of one's own is a type with `cut(extents) -> slices`.
#ifndef VQ_QUANTIZER_GRANULARITY_HPP
#define VQ_QUANTIZER_GRANULARITY_HPP

#include <concepts>

#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

// `count` neighbouring runs of `length` values from flat position `begin`; run i uses parameter
// `param + i`. All of it `rows` times, one row after the other, with the same parameters: a kernel
// that prepares a parameter once can use it in every row. The unit of work of every kernel.
// `short_run`: the run belongs to a parameter with fewer values than the others, because its row
// ended (some formats have a rule for it).
struct strip {
  index_type begin = 0;
  index_type length = 0;
  index_type count = 0;
  index_type param = 0;
  index_type rows = 1;
  bool short_run = false;

  constexpr index_type size() const noexcept { return rows * count * length; }
  // Calls f(param, offset of the run's first value from the strip's) for every run, in order.
  template <class F>
  VQ_INLINE constexpr void for_each_run(F f) const noexcept {
    for (index_type row = 0, offset = 0; row < rows; ++row) {
      for (index_type run = 0; run < count; ++run, offset += length) f(param + run, offset);
    }
  }
};

// `rows` rows of `row` values, each cut into runs of `length` (the last one may be short).
// `shared`: run i of every row uses parameter i; otherwise every run has a parameter of its own.
struct slices {
  index_type rows = 1;
  index_type row = 0;
  index_type length = 0;
  bool shared = false;

  constexpr index_type size() const noexcept { return rows * row; }
  constexpr index_type runs_per_row() const noexcept {
    return length == 0 ? 0 : (row + length - 1) / length;
  }
  constexpr index_type params() const noexcept {
    return shared ? runs_per_row() : rows * runs_per_row();
  }
  constexpr index_type param_of(index_type flat) const noexcept {
    return flat % row / length + (shared ? 0 : flat / row * runs_per_row());
  }
  // The runs of this parameter are shorter than `length`.
  constexpr bool is_short(index_type param) const noexcept {
    return length != 0 && row % length != 0 && (param + 1) % runs_per_row() == 0;
  }

  // Covers the flat interval [begin, begin + count) with strips, in rising order. A run that the
  // interval cuts becomes a shorter run of the same parameter.
  template <class F>
  constexpr void for_each_strip(index_type begin, index_type count, F f) const noexcept {
    if (length == 0) return;
    if (rows > 1 && !shared && row % length == 0) {  // no run ends early: one long row
      slices{1, size(), length, false}.for_each_strip(begin, count, f);
      return;
    }
    const index_type end = begin + count;
    for (index_type at = begin; at < end;) {
      const index_type in_row = at % row;
      const index_type in_run = in_row % length;
      const index_type left = (row - in_row < end - at) ? row - in_row : end - at;
      strip s{at, length, left / length, param_of(at)};
      if (in_run != 0 || s.count == 0) {
        s.length = length - in_run < left ? length - in_run : left;
        s.count = 1;
        s.short_run = in_row - in_run + length > row;
      } else if (shared && in_row == 0 && s.count * length == row) {
        s.rows = (end - at) / row;
      }
      f(s);
      at += s.size();
    }
  }
  template <class F>
  constexpr void for_each_strip(F f) const noexcept {
    for_each_strip(0, size(), f);
  }

  // Calls f(begin, count) for every run of one parameter.
  template <class F>
  constexpr void for_each_run(index_type param, F f) const noexcept {
    const index_type run = shared ? param : param % runs_per_row();
    const index_type first = shared ? 0 : param / runs_per_row();
    const index_type last = shared ? rows : first + 1;
    const index_type left = row - run * length;
    for (index_type r = first; r < last; ++r) {
      f(r * row + run * length, left < length ? left : length);
    }
  }
};

struct per_tensor {
  static constexpr const char* name = "per_tensor";
  template <std::size_t Rank>
  static constexpr slices cut(const std::array<index_type, Rank>& extents) noexcept {
    return {1, volume(extents), volume(extents), false};
  }
};

template <int Axis>
struct per_channel {
  static constexpr const char* name = "per_channel";
  template <std::size_t Rank>
  static constexpr slices cut(const std::array<index_type, Rank>& extents) noexcept {
    static_assert(Axis >= 0 && Axis < static_cast<int>(Rank),
                  "per_channel: the axis is outside the tensor's rank");
    const index_type outer = volume(extents, 0, Axis);
    return {outer, volume(extents, Axis), volume(extents, Axis + 1), outer > 1};
  }
};

template <int Axis>
struct per_token {
  static constexpr const char* name = "per_token";
  template <std::size_t Rank>
  static constexpr slices cut(const std::array<index_type, Rank>& extents) noexcept {
    static_assert(Axis >= 0 && Axis < static_cast<int>(Rank),
                  "per_token: the axis is outside the tensor's rank");
    return {1, volume(extents), volume(extents, Axis + 1), false};
  }
};

template <index_type N>
struct per_group {
  static_assert(N > 0, "per_group: a group has at least one value");
  static constexpr const char* name = "per_group";
  template <std::size_t Rank>
  static constexpr slices cut(const std::array<index_type, Rank>& extents) noexcept {
    return {volume(extents, 0, static_cast<int>(Rank) - 1), extents[Rank - 1], N, false};
  }
};

template <index_type N>
struct per_block {
  static_assert(N > 0, "per_block: a block has at least one value");
  static constexpr const char* name = "per_block";
  template <std::size_t Rank>
  static constexpr slices cut(const std::array<index_type, Rank>& extents) noexcept {
    return {1, volume(extents), N, false};
  }
};

template <class G>
concept granularity = requires(const std::array<index_type, 6>& extents) {
  { G::cut(extents) } noexcept -> std::same_as<slices>;
};
static_assert(granularity<per_tensor> && granularity<per_channel<0>> && granularity<per_block<64>>);

}  // namespace vq::inline v1

#endif
