// Ranges and searches of FQ-ViT, RepQ-ViT and PTQ4ViT: their candidates, written down here, through
// this library's search and parameters.
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <vq/calibrate.hpp>
#include <vq/policy/log_scale.hpp>

#include "golden/golden.hpp"

namespace {

using vq::index_type;
template <int Bits>
using unsigned_grid =
    vq::uniform<Bits, vq::asymmetric, vq::full, vq::unsigned_codes, vq::exact_division>;
template <int Bits>
using signed_grid =
    vq::uniform<Bits, vq::symmetric, vq::full, vq::signed_codes, vq::exact_division>;
using shifted_grid = vq::uniform<8, vq::asymmetric, vq::full, vq::signed_codes, vq::exact_division>;

// A format with candidates of somebody else.
template <class Policy>
struct among : Policy {
  std::vector<typename Policy::param_type> list;
  const auto& candidates(vq::range) const { return list; }
};

template <class Policy>
typename Policy::param_type best_of(const std::vector<float>& x,
                                    std::vector<typename Policy::param_type> list) {
  const vq::quantizer<among<Policy>> q{{{}, std::move(list)}};
  typename Policy::param_type found[1];
  REQUIRE(vq::fit(q, vq::tensor_view<const float, 1>{x.data(), {static_cast<index_type>(x.size())}},
                  found, vq::mse{}) == vq::status::ok);
  return found[0];
}

// torch.quantile: linear interpolation, in float.
float quantile(std::vector<float> x, double share) {
  std::sort(x.begin(), x.end());
  const float position = static_cast<float>(share) * static_cast<float>(x.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const float low = x[below], high = x[std::min(below + 1, x.size() - 1)];
  return low + (position - static_cast<float>(below)) * (high - low);
}

vq::range range_of(const std::vector<float>& x) {
  const auto [lowest, highest] = std::minmax_element(x.begin(), x.end());
  return {*lowest, *highest};
}

// Values of each index of one axis, and where they lie.
std::vector<std::vector<std::size_t>> channels_of(const std::vector<index_type>& shape, int axis) {
  index_type inner = 1, size = 1;
  for (std::size_t a = 0; a < shape.size(); ++a) {
    size *= shape[a];
    if (static_cast<int>(a) > axis) inner *= shape[a];
  }
  const index_type count = shape[static_cast<std::size_t>(axis)];
  std::vector<std::vector<std::size_t>> all(static_cast<std::size_t>(count));
  for (index_type i = 0; i < size; ++i) {
    all[static_cast<std::size_t>(i / inner % count)].push_back(static_cast<std::size_t>(i));
  }
  return all;
}

// One parameter per set of positions, found by `search(values)`; checks the three outputs.
template <class Policy, class Search>
void check_grid(const golden::test_case& c, const std::string& scale_role,
                const std::vector<std::vector<std::size_t>>& channels, Search search) {
  const auto x = c.input<float>("x");
  std::vector<float> scales, y(x.data.size());
  std::vector<std::int32_t> zero_points;
  for (const auto& positions : channels) {
    std::vector<float> values;
    for (const std::size_t i : positions) values.push_back(x.data[i]);
    const vq::affine_param p = search(values);
    scales.push_back(p.scale);
    zero_points.push_back(p.zero_point);
    for (const std::size_t i : positions) {
      y[i] = Policy{}.decode(Policy{}.encode(x.data[i], p), p);
    }
  }
  golden::check(c, scale_role, scales);
  const auto stored = c.output<float>("zero_point").data.size();
  if (stored > zero_points.size()) zero_points.resize(stored, zero_points[0]);
  golden::check(c, "zero_point", zero_points);
  golden::check(c, "y", y);
}

// RepQ-ViT: the range between two quantiles, zero included or not, of least squared error.
template <int Bits>
vq::affine_param repq_search(const std::vector<float>& values) {
  std::vector<vq::affine_param> list;
  for (const double share : {0.999, 0.9999, 0.99999}) {
    const float lowest = quantile(values, 1 - share), highest = quantile(values, share);
    const float step = (highest - lowest) / ((1 << Bits) - 1);
    list.push_back({step, static_cast<int>(std::nearbyint(-lowest / step))});
  }
  return best_of<unsigned_grid<Bits>>(values, list);
}

template <int Bits>
void repq(const golden::test_case& c) {
  const auto shape = c.input<float>("x").shape;
  auto channels = channels_of(shape, std::max(0, c.params().at("axis").get<int>()));
  if (!c.params().at("channel_wise").get<bool>()) {
    for (std::size_t i = 1; i < channels.size(); ++i) {
      channels[0].insert(channels[0].end(), channels[i].begin(), channels[i].end());
    }
    channels.resize(1);
  }
  check_grid<unsigned_grid<Bits>>(c, "delta", channels, repq_search<Bits>);
}

template <int Bits>
void repq_log(const golden::test_case& c) {
  using policy = vq::log_sqrt2_scale<Bits>;
  const auto x = c.input<float>("x");
  if (!c.has_input("delta_in")) {
    std::vector<vq::scale_param> list;
    for (const double share : {0.999, 0.9999, 0.99999}) {
      list.push_back({quantile(x.data, share)});
    }
    golden::check(c, "delta", std::vector{best_of<policy>(x.data, list).scale});
    return;
  }
  // The top code is 0 here, and one more value there: values below the last code are left out.
  const vq::scale_param p{c.input_value<float>("delta_in")};
  auto y = c.output<float>("y").data;
  const float last = policy{}.decode(static_cast<float>(policy::zero_code - 1), p);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float code = policy{}.encode(x.data[i], p);
    if (code < policy::zero_code) {
      y[i] = policy{}.decode(code, p);
    } else {
      CHECK(y[i] < last);
    }
  }
  golden::check(c, "y", y);
}

void fqvit(const golden::test_case& c) {
  const auto x = c.input<float>("x");
  const auto& p = c.params();
  const bool is_signed = p.at("dtype") == "int8";
  const auto observer = p.at("observer").get<std::string>();
  std::vector<std::vector<std::size_t>> channels{{}};
  for (std::size_t i = 0; i < x.data.size(); ++i) channels[0].push_back(i);
  if (p.at("mode") == "channel_wise") channels = channels_of(x.shape, 0);

  if (observer == "omse") {  // both ends of the range shrink together, one percent at a time
    const auto search = [&](auto policy) {
      return [policy](const std::vector<float>& values) {
        const vq::range r = range_of(values);
        std::vector<vq::affine_param> list;
        for (int i = 0; i < 90; ++i) {
          const float f = 1 - static_cast<float>(i) * 0.01f;
          list.push_back(policy.fit({f * r.lowest, f * r.highest}, vq::conventions::torch));
        }
        return best_of<decltype(policy)>(values, list);
      };
    };
    if (is_signed) {
      check_grid<shifted_grid>(c, "scale", channels, search(shifted_grid{}));
    } else {
      check_grid<unsigned_grid<8>>(c, "scale", channels, search(unsigned_grid<8>{}));
    }
    return;
  }
  const auto search = [&](auto policy) {
    return [&, policy](const std::vector<float>& values) {
      vq::range r = range_of(values);
      if (observer == "percentile") {
        r = {quantile(values, 1 - 0.99999), quantile(values, 0.99999)};
      }
      return policy.fit(r, vq::conventions::torch);
    };
  };
  if (is_signed) {
    check_grid<signed_grid<8>>(c, "scale", channels, search(signed_grid<8>{}));
  } else {
    check_grid<unsigned_grid<8>>(c, "scale", channels, search(unsigned_grid<8>{}));
  }
}

// PTQ4ViT's base: blocks of n_V rows and n_H columns, half a step beyond the last code.
template <int Bits>
void ptq4vit(const golden::test_case& c) {
  const auto weight = c.input<float>("weight"), x = c.input<float>("x");
  const index_type rows = weight.shape[0], columns = weight.shape[1],
                   down = c.params().at("n_V").get<int>(), across = c.params().at("n_H").get<int>();
  constexpr signed_grid<Bits> grid;
  std::vector<float> steps, rounded(weight.data.size()), inputs;
  for (index_type v = 0; v < down; ++v) {
    for (index_type h = 0; h < across; ++h) {
      const index_type begin = v * (rows / down) * columns + h * (columns / across);
      const vq::tensor_view<const float, 2> block{
          weight.data.data() + begin, {rows / down, columns / across}, {columns, 1}};
      const vq::tensor_view<float, 2> to{
          rounded.data() + begin, {rows / down, columns / across}, {columns, 1}};
      vq::affine_param p[1];
      const vq::quantizer<signed_grid<Bits>> q;
      REQUIRE(vq::fit(q, block, p, vq::minmax{}, vq::conventions::torch) == vq::status::ok);
      REQUIRE(vq::fake_quantize(q, block, p, to) == vq::status::ok);
      steps.push_back(p[0].scale);
    }
  }
  golden::check(c, "w_interval", steps);
  golden::check(c, "weight_qdq", rounded);
  const auto p = grid.fit(range_of(x.data), vq::conventions::torch);
  for (const float v : x.data) inputs.push_back(grid.decode(grid.encode(v, p), p));
  golden::check(c, "a_interval", std::vector{p.scale});
  golden::check(c, "x_qdq", inputs);
}

}  // namespace

TEST_CASE("searched grids of RepQ-ViT", "[calibrate][golden]") {
  for (const golden::test_case& c : golden::cases("repq_vit", "repq_uniform")) {
    const int bits = c.params().at("n_bits").get<int>();
    if (bits == 4) repq<4>(c);
    if (bits == 6) repq<6>(c);
    if (bits == 8) repq<8>(c);
  }
  for (const golden::test_case& c : golden::cases("repq_vit", "repq_logsqrt2")) {
    const int bits = c.params().at("n_bits").get<int>();
    if (bits == 4) repq_log<4>(c);
    if (bits == 6) repq_log<6>(c);
    if (bits == 8) repq_log<8>(c);
  }
}

TEST_CASE("observers of FQ-ViT", "[calibrate][golden]") {
  for (const golden::test_case& c : golden::cases("fqvit", "fqvit_observer")) fqvit(c);
  for (const golden::test_case& c : golden::cases("fqvit", "fqvit_int_layernorm")) {
    c.skip(golden::reason::operation_not_offered);
  }
}

TEST_CASE("base intervals of PTQ4ViT", "[calibrate][golden]") {
  for (const golden::test_case& c : golden::cases("ptq4vit", "ptq4vit_linear_uniform")) {
    const int bits = c.params().at("bit").get<int>();
    if (bits == 4) ptq4vit<4>(c);
    if (bits == 6) ptq4vit<6>(c);
    if (bits == 8) ptq4vit<8>(c);
  }
}
