// Random weight-only layers and their definition in double precision, from the codes as they were
// before packing.
#ifndef VQ_TESTS_NN_WEIGHT_ONLY_CASES_HPP
#define VQ_TESTS_NN_WEIGHT_ONLY_CASES_HPP

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <vq/nn/weight_only.hpp>

namespace weight_only_cases {

using vq::index_type;

struct random {
  explicit random(unsigned seed) : engine(seed) {}
  index_type between(index_type a, index_type b) {
    return std::uniform_int_distribution<index_type>(a, b)(engine);
  }
  float normal() { return std::normal_distribution<float>()(engine); }
  std::mt19937 engine;
};

// Runs tasks in falling order, and gives them to the workers in turn.
struct backwards {
  index_type workers() const { return 3; }
  template <class F>
  void operator()(index_type tasks, F&& f) const {
    for (index_type task = tasks; task-- > 0;) f(task, task % 3);
  }
};

// Codes of a quantizer and their parameters.
template <class Q>
struct weights {
  weights(random& r, index_type outputs, index_type inputs, vq::scale_format f)
      : extents{outputs, inputs}, scales(f) {
    const vq::sizes need = Q::required(extents);
    codes.resize(static_cast<std::size_t>(need.codes));
    params.resize(static_cast<std::size_t>(need.params));
    for (auto& c : codes) {
      c = static_cast<typename Q::stored_type>(Q::policy_type::bits == 8 ? r.between(-127, 127)
                                                                         : r.between(0, 255));
    }
    for (auto& p : params) {
      p.scale = 0.01f * std::exp(r.normal());  // no half overflows
      if constexpr (requires { p.zero_point; }) {
        if (!Q::policy_type::symmetric_range) {
          p.zero_point = static_cast<std::int32_t>(
              r.between(Q::policy_type::limits.lowest, Q::policy_type::limits.highest));
        }
      }
    }
    storage.resize(static_cast<std::size_t>(vq::weight_only_size(Q{}, extents, scales)) + 5);
  }

  vq::result<vq::weight_only> pack(std::size_t offset = 0) {
    return vq::pack_weight_only(Q{}, extents, codes, params, std::span(storage).subspan(offset),
                                scales);
  }
  std::int32_t code(index_type n, index_type k) const {
    return Q::layout_type::template load<typename Q::code_type>(codes.data(), n * extents[1] + k);
  }
  // The scale as it is stored.
  double scale(index_type n, index_type k) const {
    const float s = param(n, k).scale;
    if (scales == vq::scale_format::half) return vq::half(s).to_float();
    if (scales == vq::scale_format::bfloat16) return vq::bfloat16(s).to_float();
    return s;
  }
  auto param(index_type n, index_type k) const {
    const index_type flat = n * extents[1] + k;
    return params[static_cast<std::size_t>(Q::cut(extents).param_of(flat))];
  }

  vq::shape_type<2> extents;
  vq::scale_format scales;
  std::vector<typename Q::stored_type> codes;
  std::vector<typename Q::param_type> params;
  std::vector<std::uint8_t> storage;
};

enum class products { floats, bfloat16s, integers };

// The level of a code at scale 1, as `products` take it.
template <class Q>
double level(const weights<Q>& w, const vq::weight_only& packed, products how, index_type n,
             index_type k) {
  const std::int32_t code = w.code(n, k);
  if constexpr (requires { w.params[0].zero_point; }) {
    return code - w.param(n, k).zero_point;
  } else {
    const auto pattern = static_cast<std::size_t>(code & 15);
    const float exact = Q::policy_type::table::levels[pattern];
    if (how == products::integers) {
      return packed.integer_levels[pattern] * double{packed.integer_unit};
    }
    return how == products::bfloat16s ? vq::bfloat16(exact).to_float() : exact;
  }
}

// Runs one random layer; returns the largest error as a multiple of what is allowed.
template <class Q, class X, class Y, class E, class P = vq::serial_t>
double worst_error(E e, random& r, products how, const P& parallel = {}) {
  const index_type rows = r.between(1, 3) == 1 ? r.between(1, 20) : r.between(1, 3);
  const index_type multiple = Q::cut(vq::shape_type<2>{1, 1}).length;
  const bool ragged = r.between(0, 1) == 0;
  index_type inputs = ragged ? r.between(1, 700) : r.between(1, 5) * 64;
  if (std::is_same_v<typename Q::granularity_type, vq::per_block<64>>) {
    inputs = (inputs + multiple - 1) / multiple * multiple;
  }
  const index_type outputs = r.between(1, 140);
  const auto scales = static_cast<vq::scale_format>(r.between(0, 2));
  weights<Q> w(r, outputs, inputs, scales);
  const auto packed = w.pack(static_cast<std::size_t>(r.between(0, 5)));
  if (!packed) return 1e9;

  const bool transposed = r.between(0, 3) == 0;
  const index_type gap = r.between(0, 1) * 3;
  const vq::shape_type<2> strides =
      transposed ? vq::shape_type<2>{1, rows + gap} : vq::shape_type<2>{inputs + gap, 1};
  std::vector<X> values(static_cast<std::size_t>((rows + gap) * (inputs + gap)));
  for (auto& v : values) v = static_cast<X>(r.normal());
  const vq::tensor_view<const X, 2> x{values.data(), {rows, inputs}, strides};
  std::vector<float> bias(r.between(0, 1) == 0 ? 0 : static_cast<std::size_t>(outputs));
  for (auto& b : bias) b = r.normal();
  std::vector<Y> out(static_cast<std::size_t>(rows * (outputs + gap)), Y(77.f));
  const vq::tensor_view<Y, 2> y{out.data(), {rows, outputs}, {outputs + gap, 1}};

  vq::status s = vq::status::ok;
  if (how == products::integers) {
    std::vector<std::byte> workspace(static_cast<std::size_t>(
        vq::weight_only_workspace(vq::dynamic_int8, x, *packed, parallel.workers())));
    s = vq::linear(e, vq::dynamic_int8, x, *packed, bias, y, workspace, parallel);
  } else {
    std::vector<std::byte> workspace(
        static_cast<std::size_t>(vq::weight_only_workspace(x, *packed, parallel.workers())));
    s = vq::linear(e, x, *packed, bias, y, workspace, parallel);
  }
  if (s != vq::status::ok) return 1e9;

  double worst = 0;
  for (index_type m = 0; m < rows; ++m) {
    float absmax = 0;
    for (index_type k = 0; k < inputs; ++k) {
      absmax = std::fmax(absmax, std::fabs(vq::as_float(x(m, k))));
    }
    const float row_scale = absmax / 127;
    for (index_type n = 0; n < outputs; ++n) {
      double sum = 0, magnitude = 0;
      for (index_type k = 0; k < inputs; ++k) {
        double value = vq::as_float(x(m, k));
        if (how == products::integers) {
          value = std::nearbyint(vq::as_float(x(m, k)) * (1 / row_scale)) * double{row_scale};
        }
        const double product = value * w.scale(n, k) * level(w, *packed, how, n, k);
        sum += product;
        magnitude += std::fabs(product);
      }
      const double start = bias.empty() ? 0.f : bias[static_cast<std::size_t>(n)];
      sum += start;
      const double rounding = std::is_same_v<Y, float>      ? 0x1p-24
                              : std::is_same_v<Y, vq::half> ? 0x1p-11
                                                            : 0x1p-8;
      const double allowed =
          static_cast<double>(inputs + 4) * 0x1p-23 * (magnitude + std::fabs(start)) +
          std::fabs(sum) * rounding + 1e-7;
      worst = std::fmax(worst, std::fabs(double{vq::as_float(y(m, n))} - sum) / allowed);
    }
    for (index_type n = outputs; n < outputs + gap; ++n) {  // nothing beyond the row is written
      if (vq::as_float(out[static_cast<std::size_t>(m * (outputs + gap) + n)]) != 77) return 1e9;
    }
  }
  return worst;
}

}  // namespace weight_only_cases

#endif
