#include "engine/sensitivity/graph_subject.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "engine/bundled.hpp"

namespace {

using engine::at;
using engine::graph_subject;
using engine::index_type;

constexpr index_type images = bundled::image_count / 4;

graph_subject make(const std::string& name, engine::graph_subject_options options = {}) {
  const auto m = bundled::model(name);
  options.images = images;
  options.subsets = 2;
  return bundled::require(graph_subject::make(bundled::folded(m.network),
                                              bundled::calibration_images(m), std::move(options)));
}

double mean(const engine::subject::numbers_or_failure& values) {
  REQUIRE(values);
  return std::accumulate(values->begin(), values->end(), 0.0) / static_cast<double>(values->size());
}

// Rounded to the nearest of 15 levels of each output channel.
void round_to_4_bits(engine::tensor& w) {
  const std::size_t row = w.values.size() / at(w.shape[0]);
  for (std::size_t begin = 0; begin < w.values.size(); begin += row) {
    float most = 0;
    for (std::size_t i = begin; i < begin + row; ++i) most = std::max(most, std::fabs(w.values[i]));
    for (std::size_t i = begin; i < begin + row && most > 0; ++i) {
      w.values[i] = std::nearbyint(w.values[i] / (most / 7)) * (most / 7);
    }
  }
}

}  // namespace

TEST_CASE("graph subject: all linear layers and convolutions can take a format", "[engine]") {
  const auto s = make("vit");
  CHECK(s.weights().size() == 38);
  CHECK(s.weights()[1].name == "vit.encoder.layer.0.attention.attention.query.weight");
  CHECK(s.weights()[1].shape == engine::shape_type{192, 192});
  CHECK(engine::layers_of(s)[0].name == "vit.embeddings.patch_embeddings.projection");
}

TEST_CASE("graph subject: a layer in a format computes what its codes stand for", "[engine]") {
  const auto m = bundled::model("resnet20");
  const auto set = bundled::calibration_images(m);
  const auto s = make("resnet20");
  engine::graph expected = bundled::folded(m.network);
  const std::size_t layer = 9;
  const std::string name(vq::module_of(s.weights()[layer].name));
  for (engine::node& n : expected.nodes) {
    if (n.weight == name) round_to_4_bits(std::get<engine::conv2d>(n.op).weight);
  }
  engine::subject::format_names formats(s.weights().size());
  formats[layer] = "int4-channel";
  const auto found = bundled::require(s.logits(formats));
  bundled::require_close(found.values,
                         bundled::logits(engine::float_executor(expected), set, images), 1e-4f);
}

TEST_CASE("graph subject: starting in the middle changes nothing", "[engine]") {
  const char* name = GENERATE("resnet20", "vit");
  const auto restarts = make(name);
  const auto from_the_start = make(name, {.most_floats_at_cut = 0});
  engine::subject::format_names formats(restarts.weights().size());
  for (std::size_t layer = 0; layer < formats.size(); layer += 9) {
    auto one = formats;
    one[layer] = "int3-channel";
    bundled::require_close(bundled::require(restarts.logits(one)).values,
                           bundled::require(from_the_start.logits(one)).values, 1e-5f);
  }
}

TEST_CASE("graph subject: fewer bits hurt more, and floats not at all", "[engine]") {
  const auto s = make("resnet20");
  const auto all = [&](const std::string& format) {
    return mean(s.divergence(engine::subject::format_names(s.weights().size(), format)));
  };
  CHECK(all("keep") == 0);
  CHECK(all("") == 0);
  CHECK(all("int8-channel") < all("int4-channel"));
  CHECK(all("int4-channel") < all("int3-channel"));
  CHECK(all("int3-channel") < all("int2-channel"));
  const auto right = s.right_answers({});
  REQUIRE(right);
  CHECK(std::count(right->begin(), right->end(), 1) > images * 3 / 4);
}

TEST_CASE("graph subject: trials around a base are those with the base spelled out", "[engine]") {
  auto s = make("resnet20");
  const engine::subject::format_names base(s.weights().size(), "int4-channel");
  auto changed = base;
  changed[7] = "int2-channel";
  const double base_alone = mean(s.divergence(base)), with_change = mean(s.divergence(changed));
  REQUIRE_FALSE(s.rebase(base));
  engine::subject::format_names one(base.size());
  CHECK(mean(s.divergence(one)) == Approx(base_alone).epsilon(1e-4));
  one[7] = "int2-channel";
  CHECK(mean(s.divergence(one)) == Approx(with_change).epsilon(1e-4));
  REQUIRE_FALSE(s.rebase(engine::subject::format_names(base.size(), "keep")));
  CHECK(mean(s.divergence({})) == 0);
}

TEST_CASE("graph subject: the input of a layer is quantized for that layer alone", "[engine]") {
  const auto s = make("vit", {.part = engine::graph_subject_options::quantized::inputs});
  CHECK(std::string(s.part()) == "inputs");
  const auto one = [&](std::size_t layer, const char* format) {
    engine::subject::format_names formats(s.weights().size());
    formats[layer] = format;
    return s.divergence(formats);
  };
  // Query and key read the same tensor.
  CHECK(*one(1, "uint4-tensor") != *one(2, "uint4-tensor"));
  CHECK(mean(one(1, "uint8-tensor")) < mean(one(1, "uint4-tensor")));
  CHECK(mean(one(1, "keep")) == 0);
}

TEST_CASE("graph subject: both operands of the products of attention are inputs", "[engine]") {
  constexpr auto inputs = engine::graph_subject_options::quantized::inputs;
  const auto s = make("vit", {.part = inputs});
  const auto from_the_start = make("vit", {.part = inputs, .most_floats_at_cut = 0});
  CHECK(s.weights().size() == 38 + 6 * 4);
  const auto place = [&](const std::string& name) {
    const std::string whole = "vit.encoder.layer.2.attention.attention." + name + ".weight";
    std::size_t i = 0;
    while (i < s.weights().size() && s.weights()[i].name != whole) ++i;
    REQUIRE(i < s.weights().size());
    return i;
  };
  std::vector<double> found;
  for (const char* name :
       {"scores.query", "scores.key", "context.probabilities", "context.value"}) {
    engine::subject::format_names formats(s.weights().size());
    formats[place(name)] = "uint4-tensor";
    bundled::require_close(bundled::require(s.logits(formats)).values,
                           bundled::require(from_the_start.logits(formats)).values, 1e-5f);
    found.push_back(mean(s.divergence(formats)));
    CHECK(found.back() > 0);
    CHECK(std::count(found.begin(), found.end(), found.back()) == 1);
  }
}

TEST_CASE("graph subject: a quantizer of one's own takes part through a menu", "[engine]") {
  using mine = vq::menu<vq::quantizer<vq::uniform<4>, vq::per_channel<0>>>;
  engine::graph_subject_options options;
  options.simulate = engine::simulate_weight<mine>;
  const auto s = make("resnet20", options);
  const auto built_in = make("resnet20");
  const engine::subject::format_names formats(s.weights().size(), "int4-channel");
  CHECK(*s.divergence(formats) == *built_in.divergence(formats));
  const auto refused = s.divergence(engine::subject::format_names(formats.size(), "int8-channel"));
  REQUIRE_FALSE(refused);
  CHECK(vq::describe(refused.error()).find("layer 'conv1'") != std::string::npos);
}
