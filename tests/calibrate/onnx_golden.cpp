// Every recorded calibrator of ONNX Runtime: histograms, thresholds, and the parameters.
#include <cmath>

#include <vq/calibrate.hpp>

#include "golden/golden.hpp"

namespace {

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

vq::code_limits limits_of(int lowest, int highest, bool symmetric) {
  return {lowest, highest, static_cast<int>(std::nearbyint((lowest + highest) / 2.0)), symmetric};
}

std::vector<float> ends(vq::range r) { return {r.lowest, r.highest}; }

// What every collector records, and the parameters of four grids for the range it chose.
vq::onnx_histogram_observer collect(const golden::test_case& c,
                                    vq::onnx_histogram_observer::values kind) {
  vq::onnx_histogram_observer o(c.params().at("num_bins").get<vq::index_type>(), kind);
  for (const auto& batch : batches_of(c)) REQUIRE(o.observe(flat(batch)) == vq::status::ok);
  golden::check(c, "hist", o.counts());
  golden::check(c, "hist_edges", o.edges());
  std::int64_t total = 0, expected = 0;
  for (const std::int64_t count : o.counts()) total += count;
  for (const std::int64_t count : c.output<std::int64_t>("hist").data) expected += count;
  CHECK(total == expected);
  return o;
}

void check_params(const golden::test_case& c, vq::range chosen) {
  std::vector<float> scales;
  std::vector<int> zero_points;
  for (const auto& row : c.params().at("scale_rows")) {
    const bool symmetric = row.at("type").get<std::string>().ends_with("_sym");
    const vq::affine_param p = vq::fit_affine(
        chosen, limits_of(row.at("qmin"), row.at("qmax"), symmetric), vq::conventions::onnx);
    scales.push_back(p.scale);
    zero_points.push_back(p.zero_point);
  }
  golden::check(c, "scale", scales);
  golden::check(c, "zero_point", zero_points);
}

void check_divergences(const golden::test_case& c,
                       const std::vector<vq::onnx_entropy_candidate>& candidates) {
  std::vector<float> divergences;
  for (const auto& candidate : candidates) divergences.push_back(candidate.divergence);
  golden::check(c, "kl", divergences);
}

}  // namespace

TEST_CASE("onnx_entropy: ONNX Runtime's entropy calibrator", "[calibrate][golden]") {
  for (const auto& c : golden::cases("ort_calibrate", "calibrate_entropy")) {
    const auto o = collect(c, vq::onnx_histogram_observer::values::real);
    const vq::onnx_entropy search{c.params().at("num_quantized_bins").get<vq::index_type>()};
    check_divergences(c, search.candidates(o.counts()));
    const vq::range chosen = search.estimate(o).value();
    golden::check(c, "threshold", ends(chosen));
    check_params(c, chosen);
  }
}

TEST_CASE("onnx_entropy: the search alone, from a given histogram", "[calibrate][golden]") {
  for (const auto& c : golden::cases("ort_calibrate", "entropy_threshold")) {
    const auto counts = c.input<std::int64_t>("hist").data;
    const auto edges = c.input<float>("hist_edges").data;
    const auto seen = c.input<float>("observed_range").data;
    const vq::onnx_entropy search{c.params().at("num_quantized_bins").get<vq::index_type>()};
    check_divergences(c, search.candidates(counts));
    golden::check(c, "threshold", ends(search.estimate(counts, edges, {seen[0], seen[1]}).value()));
  }
}

TEST_CASE("onnx_percentile: ONNX Runtime's percentile calibrator", "[calibrate][golden]") {
  using values = vq::onnx_histogram_observer::values;
  for (const auto& c : golden::cases("ort_calibrate", "calibrate_percentile")) {
    const bool symmetric = c.params().at("symmetric");
    const auto o = collect(c, symmetric ? values::magnitudes : values::real);
    const vq::onnx_percentile search{c.params().at("percentile")};
    const vq::range chosen = search.estimate(o).value();
    golden::check(c, "threshold", ends(chosen));
    check_params(c, chosen);
  }
}

TEST_CASE("onnx_distribution: ONNX Runtime's distribution calibrator", "[calibrate][golden]") {
  for (const auto& c : golden::cases("ort_calibrate", "calibrate_distribution")) {
    const auto o = collect(c, vq::onnx_histogram_observer::values::real);
    const double power = c.params().at("scenario") == "p3" ? 1. / 3 : 1;
    const auto m = vq::onnx_distribution{power}.estimate(o).value();
    golden::check(c, "avg", m.mean);
    golden::check(c, "std", m.deviation);
    golden::check(c, "lowest_highest", ends(m.edges));
  }
}

TEST_CASE("fit_affine: ONNX Runtime's compute_scale_zp", "[calibrate][golden]") {
  for (const auto& c : golden::cases("ort_calibrate", "compute_scale_zp")) {
    const auto lowest = c.input<float>("rmin").data, highest = c.input<float>("rmax").data;
    const auto codes = limits_of(c.params().at("qmin"), c.params().at("qmax"),
                                 c.params().at("symmetric").get<bool>());
    std::vector<float> scales;
    std::vector<int> zero_points;
    for (std::size_t i = 0; i < lowest.size(); ++i) {
      const auto p = vq::fit_affine({lowest[i], highest[i]}, codes, vq::conventions::onnx);
      scales.push_back(p.scale);
      zero_points.push_back(p.zero_point);
    }
    golden::check(c, "scale", scales);
    golden::check(c, "zero_point", zero_points);
  }
}

TEST_CASE("minmax_observer, batch_mean_observer: ONNX Runtime's min-max calibrator",
          "[calibrate][golden]") {
  const auto estimate = [](const golden::test_case& c, auto o) {
    for (const auto& batch : batches_of(c)) REQUIRE(o.observe(flat(batch)) == vq::status::ok);
    return o.estimate().value();
  };
  for (const auto& c : golden::cases("ort_calibrate", "calibrate_minmax")) {
    const bool mean = c.params().at("moving_average");
    vq::range r =
        mean ? estimate(c, vq::batch_mean_observer()) : estimate(c, vq::minmax_observer());
    if (c.params().at("symmetric")) r = {-r.absmax(), r.absmax()};
    golden::check(c, "threshold", ends(r));
  }
}
