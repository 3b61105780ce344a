// Every recorded observer of PyTorch: the observed range, the search, and the parameters.
#include <vq/calibrate.hpp>

#include "golden/golden.hpp"

namespace {

vq::code_limits limits_of(const golden::test_case& c) {
  const auto& params = c.params();
  const auto dtype = params.at("dtype").get<std::string>();
  const auto scheme = params.at("qscheme").get<std::string>();
  vq::code_limits codes{params.at("quant_min").get<int>(), params.at("quant_max").get<int>(), 0,
                        scheme.find("symmetric") != std::string::npos};
  if (dtype == "quint8") codes.zero = 128;
  return codes;
}

template <int Rank>
vq::tensor_view<const float, Rank> view(const golden::array<float>& a) {
  vq::shape_type<Rank> extents{};
  for (std::size_t i = 0; i < Rank; ++i) extents[i] = a.shape.at(i);
  return {a.data.data(), extents};
}
vq::tensor_view<const float, 1> flat(const golden::array<float>& a) {
  return {a.data.data(), {static_cast<vq::index_type>(a.data.size())}};
}

std::vector<golden::array<float>> batches_of(const golden::test_case& c) {
  std::vector<golden::array<float>> all;
  for (int i = 0; c.has_input("batch" + std::to_string(i)); ++i) {
    all.push_back(c.input<float>("batch" + std::to_string(i)));
  }
  return all;
}

void check_params(const golden::test_case& c, const std::vector<vq::range>& ranges) {
  std::vector<float> scales;
  std::vector<int> zero_points;
  for (const vq::range r : ranges) {
    const vq::affine_param p = vq::fit_affine(r, limits_of(c), vq::conventions::torch);
    scales.push_back(p.scale);
    zero_points.push_back(p.zero_point);
  }
  golden::check(c, "scale", scales);
  golden::check(c, "zero_point", zero_points);
}

void check_ranges(const golden::test_case& c, const std::vector<vq::range>& ranges) {
  std::vector<float> lowest, highest;
  for (const vq::range r : ranges) {
    lowest.push_back(r.lowest);
    highest.push_back(r.highest);
  }
  golden::check(c, "min_val", lowest);
  golden::check(c, "max_val", highest);
  check_params(c, ranges);
}

template <class Observer>
void observe_whole(const golden::test_case& c, Observer o) {
  for (const auto& batch : batches_of(c)) REQUIRE(o.observe(flat(batch)) == vq::status::ok);
  check_ranges(c, {o.estimate().value()});
}

template <int Axis, int Rank, class Observer>
void observe_channels(const golden::test_case& c, const Observer& blank) {
  vq::sliced_observer<Observer, vq::per_channel<Axis>> o(blank);
  for (const auto& batch : batches_of(c)) REQUIRE(o.observe(view<Rank>(batch)) == vq::status::ok);
  check_ranges(c, o.estimate().value());
}
template <class Observer>
void observe_channels(const golden::test_case& c, const Observer& blank) {
  const auto axis = c.params().at("axis").get<int>();
  const auto rank = batches_of(c).at(0).shape.size();
  REQUIRE((axis == 0 || axis == 1));
  REQUIRE((rank == 2 || rank == 4));
  if (axis == 0 && rank == 2) observe_channels<0, 2>(c, blank);
  if (axis == 1 && rank == 2) observe_channels<1, 2>(c, blank);
  if (axis == 0 && rank == 4) observe_channels<0, 4>(c, blank);
  if (axis == 1 && rank == 4) observe_channels<1, 4>(c, blank);
}

}  // namespace

TEST_CASE("minmax_observer: PyTorch's MinMaxObserver", "[calibrate][golden]") {
  for (const auto& c : golden::cases("torch_observers", "MinMaxObserver")) {
    observe_whole(c, vq::minmax_observer());
  }
}

TEST_CASE("moving_average_observer: PyTorch's MovingAverageMinMaxObserver", "[calibrate][golden]") {
  for (const auto& c : golden::cases("torch_observers", "MovingAverageMinMaxObserver")) {
    observe_whole(c, vq::moving_average_observer(c.params().at("averaging_constant")));
  }
}

TEST_CASE("sliced_observer: PyTorch's per-channel observers", "[calibrate][golden]") {
  for (const auto& c : golden::cases("torch_observers", "PerChannelMinMaxObserver")) {
    observe_channels(c, vq::minmax_observer());
  }
  for (const auto& c : golden::cases("torch_observers", "MovingAveragePerChannelMinMaxObserver")) {
    observe_channels(c, vq::moving_average_observer(c.params().at("averaging_constant")));
  }
}

TEST_CASE("torch_histogram_observer, torch_l2: PyTorch's HistogramObserver",
          "[calibrate][golden]") {
  for (const auto& c : golden::cases("torch_observers", "HistogramObserver")) {
    vq::torch_histogram_observer o(c.params().at("bins").get<vq::index_type>());
    for (const auto& batch : batches_of(c)) REQUIRE(o.observe(flat(batch)) == vq::status::ok);
    const vq::histogram h = o.snapshot().value();
    golden::check(c, "histogram", h.counts);
    golden::check(c, "observed_min", h.seen.lowest);
    golden::check(c, "observed_max", h.seen.highest);

    const vq::torch_l2 search{c.params().at("dst_nbins").get<vq::index_type>()};
    const vq::range chosen = search.estimate(h, vq::uniform<8>{}).value();
    golden::check(c, "chosen_min", chosen.lowest);
    golden::check(c, "chosen_max", chosen.highest);
    check_params(c, {chosen});
  }
}

TEST_CASE("torch_l2: the search alone, from PyTorch's own histograms", "[calibrate][golden]") {
  for (const auto& c : golden::cases("torch_observers", "HistogramObserver")) {
    const auto lowest = c.output_value<float>("observed_min");
    const auto highest = c.output_value<float>("observed_max");
    if (lowest == highest) continue;
    const auto counts = c.output<double>("histogram").data;
    const double width = (static_cast<double>(highest) - static_cast<double>(lowest)) /
                         static_cast<double>(counts.size());
    const vq::histogram h{lowest, width, counts, {lowest, highest}, 0};
    const vq::torch_l2 search{c.params().at("dst_nbins").get<vq::index_type>()};
    const vq::range chosen = search.estimate(h, vq::uniform<8>{}).value();
    golden::check(c, "chosen_min", chosen.lowest);
    golden::check(c, "chosen_max", chosen.highest);
  }
}
