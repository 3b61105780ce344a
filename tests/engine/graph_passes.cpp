// Rewriting a network must not change what it computes.
#include <algorithm>
#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "bundled.hpp"
#include "demo/skew.hpp"
#include "engine/equalization.hpp"
#include "engine/memory_plan.hpp"

namespace {

template <class Operation>
bool holds(const engine::graph& g) {
  return std::any_of(g.nodes.begin(), g.nodes.end(),
                     [](const engine::node& n) { return n.is<Operation>(); });
}

// Logits of the first images of a rewritten network against those of the original one.
void require_same_function(const engine::model& model, const engine::graph& rewritten,
                           float tolerance) {
  const auto images = bundled::test_images(model);
  const auto count = std::min<vq::index_type>(bundled::image_count, 16);
  bundled::require_close(bundled::logits(engine::float_executor(rewritten), images, count),
                         bundled::logits(engine::float_executor(model.network), images, count),
                         tolerance);
}

// Largest over smallest absolute maximum of the output channels.
float spread(const engine::tensor& weight) {
  const std::size_t row = weight.values.size() / engine::at(weight.extent(0));
  std::vector<float> most(engine::at(weight.extent(0)));
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    most[i / row] = std::max(most[i / row], std::fabs(weight.values[i]));
  }
  const auto [least, largest] = std::minmax_element(most.begin(), most.end());
  return *largest / *least;
}

}  // namespace

TEST_CASE("folding and fusing leave the logits within 1e-4", "[engine]") {
  const auto model = bundled::model(GENERATE("resnet20", "mobilenetv2"));
  const auto folded = bundled::require(engine::fold_batch_norms(model.network));
  REQUIRE(folded.kept.empty());
  REQUIRE(folded.folded == (model.name == "resnet20" ? 21 : 52));
  const engine::graph g = engine::fuse_activations(folded.network);
  REQUIRE(!holds<engine::batch_norm>(g));
  REQUIRE(!holds<engine::activation>(g));
  REQUIRE(g.output().name == model.network.output().name);

  const auto images = bundled::test_images(model);
  const auto before = bundled::logits(engine::float_executor(model.network), images, 4);
  const auto after = bundled::logits(engine::float_executor(g), images, 4);
  for (std::size_t i = 0; i < before.size(); ++i) {
    REQUIRE(std::fabs(before[i] - after[i]) <= 1e-4f);
  }
}

TEST_CASE("a batch norm that no layer can take over stays, and the auditor says why", "[engine]") {
  engine::graph g;
  g.nodes.push_back({"input", "", engine::input{}, {}, {4, 4, 2}});
  REQUIRE(engine::append(g, {"sum", "", engine::add{}, {0, 0}, {}}));
  const std::vector<float> ones(2, 1.f);
  REQUIRE(engine::append(g, {"norm", "norm", engine::batch_norm{ones, ones, ones, ones}, {1}, {}}));

  const auto result = bundled::require(engine::fold_batch_norms(g));
  REQUIRE(result.folded == 0);
  REQUIRE(result.network.size() == 3);
  REQUIRE(result.kept == std::vector<std::string>{"'norm': it follows an addition"});
}

TEST_CASE("equalization keeps the function, with ReLU and with ReLU6", "[engine]") {
  const auto model = bundled::model(GENERATE("resnet20", "mobilenetv2"));
  const engine::graph g = bundled::folded(model.network);
  const auto result = bundled::require(engine::equalize_layers(g));
  REQUIRE(result.pairs == (model.name == "resnet20" ? 9 : 36));
  require_same_function(model, result.network, 1e-5f);
  // ReLU6 is now clipped at another value in every channel.
  const auto limited = std::count_if(result.network.nodes.begin(), result.network.nodes.end(),
                                     [](const engine::node& n) {
                                       const auto* conv = std::get_if<engine::conv2d>(&n.op);
                                       return conv != nullptr && !conv->highest.empty();
                                     });
  // The stem, 16 expansions and 17 depthwise layers of MobileNetV2 end with ReLU6.
  REQUIRE(limited == (model.name == "resnet20" ? 0 : 34));
}

TEST_CASE("skewed networks compute the same function", "[engine]") {
  const auto model = bundled::model("resnet20");
  const engine::graph g = bundled::folded(model.network);

  const engine::graph norms = demo::skew_batch_norms(model.network);
  require_same_function(model, norms, 1e-5f);
  require_same_function(model, bundled::folded(norms), 1e-5f);
  const engine::graph pairs = demo::skew_pairs(g);
  require_same_function(model, pairs, 1e-5f);
  require_same_function(model, bundled::require(engine::equalize_layers(pairs)).network, 1e-5f);

  // Badly scaled they are, and folding or equalizing repairs it.
  const auto weight = [](const engine::graph& from, const char* name) -> const engine::tensor& {
    return std::get<engine::conv2d>(from[from.find(name)].op).weight;
  };
  REQUIRE(spread(weight(norms, "layer1.0.conv1")) > 50);
  REQUIRE(spread(weight(pairs, "layer1.0.relu")) > 50);
  REQUIRE(spread(weight(bundled::folded(norms), "layer1.0.relu")) < 10);
}

TEST_CASE("factors of the skewed networks are log-uniform over 100 and repeatable", "[engine]") {
  demo::log_uniform factor(demo::skew_seed), again(demo::skew_seed);
  constexpr int count = 10000;
  int below_10 = 0;
  for (int i = 0; i < count; ++i) {
    const double s = factor();
    REQUIRE(s == again());
    REQUIRE(s >= 1);
    REQUIRE(s < 100);
    below_10 += s < 10 ? 1 : 0;
  }
  REQUIRE(below_10 == Approx(count / 2).epsilon(0.05));
}

TEST_CASE("outputs that are alive at the same time do not overlap", "[engine]") {
  const engine::graph g = bundled::folded(bundled::model("mobilenetv2").network);
  const auto plan = engine::plan_memory(g, 64);
  const auto readers = g.consumers();
  for (vq::index_type i = 0; i < g.size(); ++i) {
    const auto begin = plan.offset[engine::at(i)], end = begin + engine::volume(g[i].shape);
    REQUIRE(begin % 64 == 0);
    REQUIRE(end <= plan.size);
    for (vq::index_type j = 0; j < i; ++j) {
      const auto& by = readers[engine::at(j)];
      if (std::none_of(by.begin(), by.end(), [&](vq::index_type r) { return r >= i; })) continue;
      const auto other = plan.offset[engine::at(j)];
      const bool apart = other + engine::volume(g[j].shape) <= begin || end <= other;
      REQUIRE(apart);
    }
  }
  // Block 3 needs most: 32 * 32 pixels of 96 channels before and after its depthwise layer, and the
  // 16 channels of its input, which the residual addition reads again.
  REQUIRE(plan.size == 32 * 32 * (96 + 96 + 16));
}
