#include "engine/sensitivity/proxy_subject.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <vq/analyze/rank_correlation.hpp>

#include "catch.hpp"
#include "engine/bundled.hpp"
#include "engine/float_executor.hpp"
#include "engine/sensitivity/graph_subject.hpp"

namespace {

using engine::at;
using engine::index_type;
using engine::proxy;

constexpr index_type images = 16;

engine::graph folded(const engine::model& m) {
  return bundled::require(engine::fold_batch_norms(m.network)).network;
}

std::unique_ptr<engine::subject> make(const std::string& name, proxy kind, index_type threads = 1) {
  const auto m = bundled::model(name);
  return engine::make_proxy_subject(
      folded(m), bundled::calibration_images(m),
      {.kind = kind, .images = images, .subsets = 2, .run = {threads}});
}

std::vector<double> means(const engine::subject& s, const std::string& format) {
  std::vector<double> found;
  for (std::size_t l = 0; l < s.weights().size(); ++l) {
    engine::subject::format_names formats(s.weights().size());
    formats[l] = format;
    const auto measure = bundled::require(s.divergence(formats));
    REQUIRE(measure.size() == 2);
    found.push_back((measure[0] + measure[1]) / 2);
  }
  return found;
}

}  // namespace

TEST_CASE("proxy subject: Fisher estimates the divergence that is measured", "[engine]") {
  const std::string name = GENERATE("resnet20", "vit");
  const auto m = bundled::model(name);
  const auto measured = bundled::require(
      engine::graph_subject::make(bundled::folded(m.network), bundled::calibration_images(m),
                                  {.images = images, .subsets = 2}));
  const auto expected = means(measured, "int5-channel");
  const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
  for (const proxy kind : {proxy::fisher, proxy::second_order}) {
    const auto s = make(name, kind);
    CHECK(engine::layers_of(*s) == engine::layers_of(measured));
    const auto estimate = means(*s, "int5-channel");
    INFO(engine::proxy_names[at(static_cast<index_type>(kind))]);
    CHECK(*vq::rank_correlation(estimate, expected) > 0.7);
    const double ratio = std::accumulate(estimate.begin(), estimate.end(), 0.0) / sum;
    CHECK(ratio > 0.4);
    CHECK(ratio < 2.5);
  }
}

TEST_CASE("proxy subject: noise of the outputs, computed apart", "[engine]") {
  const auto m = bundled::model("resnet20");
  const engine::graph g = folded(m);
  const index_type head = g.size() - 1;
  const engine::tensor& weight = *engine::weight_of(g[head].op);
  const auto outs = weight.shape[0], in = weight.shape[1];
  // Rounded to the nearest of 15 levels of each row.
  std::vector<double> rounded;
  for (index_type o = 0; o < outs; ++o) {
    double most = 0;
    const float* row = weight.values.data() + o * in;
    for (index_type i = 0; i < in; ++i) most = std::max(most, std::fabs(double{row[i]}));
    for (index_type i = 0; i < in; ++i) {
      rounded.push_back(std::nearbyint(double{row[i]} / (most / 7)) * (most / 7));
    }
  }
  const auto set = bundled::calibration_images(m);
  const engine::float_executor network(g);
  auto memory = network.workspace();
  double signal[2] = {}, error[2] = {};
  for (index_type image = 0; image < images; ++image) {
    network.run(set.read(image), memory, [&](index_type n, std::span<float> x) {
      if (n != g[head].inputs[0]) return;
      for (index_type o = 0; o < outs; ++o) {
        double y = 0, e = 0;
        for (index_type i = 0; i < in; ++i) {
          const double w = double{weight.values[at(o * in + i)]};
          y += w * double{x[at(i)]};
          e += (rounded[at(o * in + i)] - w) * double{x[at(i)]};
        }
        signal[image / (images / 2)] += y * y;
        error[image / (images / 2)] += e * e;
      }
    });
  }
  const auto s = make("resnet20", proxy::output_sqnr, 2);
  engine::subject::format_names formats(s->weights().size());
  formats.back() = "int4-channel";
  const auto found = bundled::require(s->divergence(formats));
  CHECK(found[0] == Approx(error[0] / signal[0]).epsilon(1e-3));
  CHECK(found[1] == Approx(error[1] / signal[1]).epsilon(1e-3));
}

TEST_CASE("proxy subject: estimates are the same on any number of threads, and add up",
          "[engine]") {
  for (const proxy kind : {proxy::output_sqnr, proxy::output_fisher, proxy::fisher}) {
    const auto one = make("resnet20", kind), two = make("resnet20", kind, 2);
    const auto alone = means(*one, "int4-channel");
    CHECK(alone == means(*two, "int4-channel"));
    const engine::subject::format_names all(alone.size(), "int4-channel");
    const auto together = bundled::require(one->divergence(all));
    CHECK((together[0] + together[1]) / 2 ==
          Approx(std::accumulate(alone.begin(), alone.end(), 0.0)));
    CHECK(means(*one, "keep") == std::vector<double>(alone.size()));
  }
}

TEST_CASE("proxy subject: what it cannot tell is refused", "[engine]") {
  const auto s = make("resnet20", proxy::second_order);
  engine::subject::format_names formats(s->weights().size());
  CHECK(s->rebase(formats).has_value());
  CHECK_FALSE(s->right_answers(formats).has_value());
  formats[0] = "int1-channel";
  const auto refused = s->divergence(formats);
  REQUIRE_FALSE(refused.has_value());
  CHECK(vq::describe(refused.error()).find("'conv1': format 'int1-channel'") != std::string::npos);
}
