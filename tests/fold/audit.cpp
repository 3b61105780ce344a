#include <deque>
#include <set>
#include <string>
#include <vector>

#include <vq/fold/audit.hpp>
#include <vq/fold/batch_norm.hpp>

#include "catch.hpp"
#include "layers.hpp"

namespace {

using vq::fold_direction;
using vq::fold_reason;
using vq::index_type;
using vq::layer_kind;
using vq::status;

// Collects nodes; add() returns the index of the new one.
struct network {
  std::deque<std::vector<index_type>> lists;  // a deque: the spans in `nodes` stay valid
  std::vector<vq::layer_node> nodes;

  index_type add(vq::layer_node node, std::vector<index_type> inputs = {}) {
    node.inputs = lists.emplace_back(std::move(inputs));
    nodes.push_back(node);
    return index_type(nodes.size()) - 1;
  }
  index_type add(layer_kind kind, std::vector<index_type> inputs = {}) {
    return add(vq::layer_node{.kind = kind}, std::move(inputs));
  }

  std::vector<vq::fold_verdict> audit() const {
    std::vector<vq::fold_verdict> verdicts(std::size_t(vq::count_normalizations(nodes)));
    const auto count = vq::audit_batch_norms(nodes, verdicts);
    REQUIRE(count);
    CHECK(*count == index_type(verdicts.size()));
    return verdicts;
  }
  // The verdict of the only batch norm.
  vq::fold_verdict verdict() const {
    const auto all = audit();
    REQUIRE(all.size() == 1);
    return all[0];
  }
};

// The example of the header, at compile time.
constexpr bool example_holds() {
  const index_type conv_reads[] = {0}, bn_reads[] = {1};
  const vq::layer_node nodes[] = {{.name = "image", .kind = layer_kind::input},
                                  {.kind = layer_kind::convolution, .inputs = conv_reads},
                                  {.kind = layer_kind::batch_norm, .inputs = bn_reads}};
  vq::fold_verdict verdicts[1];
  const auto found = vq::audit_batch_norms(nodes, verdicts);
  return found && *found == 1 && verdicts[0].node == 2 && verdicts[0].target == 1 &&
         verdicts[0].direction == fold_direction::backward;
}
static_assert(example_holds());

}  // namespace

TEST_CASE("a batch norm folds into the layer with weights before it", "[fold]") {
  const auto kind =
      GENERATE(layer_kind::convolution, layer_kind::transposed_convolution, layer_kind::linear);
  network n;
  const auto x = n.add(layer_kind::input);
  const auto layer = n.add({.kind = kind, .zero_padding = 1}, {x});
  const auto bn = n.add(layer_kind::batch_norm, {layer});
  n.add(layer_kind::relu, {bn});
  const auto v = n.verdict();
  CHECK(v.node == bn);
  CHECK(v.direction == fold_direction::backward);
  CHECK(v.target == layer);
  CHECK(v.backward == fold_reason::foldable);
  CHECK(v.forward == fold_reason::precedes_activation);
}

TEST_CASE("a batch norm stays where its input is not a layer's alone", "[fold]") {
  network n;
  const auto x = n.add(layer_kind::input);
  const auto a = n.add(layer_kind::convolution, {x});
  fold_reason want{};
  index_type before = a;
  SECTION("after the input of the network") {
    before = x;
    want = fold_reason::follows_input;
  }
  SECTION("after an addition") {
    before = n.add(layer_kind::add, {a, n.add(layer_kind::convolution, {x})});
    want = fold_reason::follows_add;
  }
  SECTION("after a concatenation with a branch that has no weights") {
    before = n.add(layer_kind::concat, {a, x});
    want = fold_reason::follows_concat;
  }
  SECTION("after an activation") {
    before =
        n.add(GENERATE(layer_kind::relu, layer_kind::relu6, layer_kind::other_activation), {a});
    want = fold_reason::follows_activation;
  }
  SECTION("after max pooling") {
    before = n.add(layer_kind::max_pool, {a});
    want = fold_reason::follows_pooling;
  }
  SECTION("after average pooling that counts its padding") {
    before = n.add({.kind = layer_kind::average_pool, .zero_padding = 1}, {a});
    want = fold_reason::follows_pooling;
  }
  SECTION("after a layer whose output someone else reads too") {
    n.add(layer_kind::relu, {a});
    want = fold_reason::other_readers;
  }
  SECTION("after a layer whose output is a result of the network") {
    n.nodes[std::size_t(a)].is_output = true;
    want = fold_reason::other_readers;
  }
  SECTION("after a layer with shared weights") {
    n.nodes[std::size_t(a)].shared_weights = true;
    want = fold_reason::shared_weights;
  }
  SECTION("after a flatten") {
    before = n.add(layer_kind::other, {a});
    want = fold_reason::follows_other;
  }
  const auto bn = n.add(layer_kind::batch_norm, {before});
  n.add(layer_kind::relu, {bn});
  const auto v = n.verdict();
  CHECK(v.direction == fold_direction::none);
  CHECK(v.target == -1);
  CHECK(v.backward == want);
  CHECK(v.forward == fold_reason::precedes_activation);
}

TEST_CASE("a batch norm folds into the layer after it where nothing else prevents it", "[fold]") {
  network n;
  const auto x = n.add(layer_kind::input);
  const auto bn = n.add(layer_kind::batch_norm, {x});
  fold_reason want{};
  SECTION("convolution without padding") {
    n.add(layer_kind::convolution, {bn});
    want = fold_reason::foldable;
  }
  SECTION("linear layer, read through the identity and unpadded average pooling") {
    n.add(layer_kind::linear,
          {n.add(layer_kind::average_pool, {n.add(layer_kind::identity, {bn})})});
    want = fold_reason::foldable;
  }
  SECTION("convolution that pads with zeros") {
    n.add({.kind = layer_kind::convolution, .zero_padding = 1}, {bn});
    want = fold_reason::precedes_zero_padding;
  }
  SECTION("zero padding does no harm where nothing is shifted") {
    n.nodes[std::size_t(bn)].zero_shift = true;
    n.add({.kind = layer_kind::convolution, .zero_padding = 1}, {bn});
    want = fold_reason::foldable;
  }
  SECTION("transposed convolution") {
    n.add(layer_kind::transposed_convolution, {bn});
    want = fold_reason::precedes_transposed_convolution;
  }
  SECTION("shared weights") {
    n.add({.kind = layer_kind::linear, .shared_weights = true}, {bn});
    want = fold_reason::shared_weights;
  }
  SECTION("two readers") {
    n.add(layer_kind::linear, {bn});
    n.add(layer_kind::linear, {bn});
    want = fold_reason::other_readers;
  }
  SECTION("a result of the network as well") {
    n.nodes[std::size_t(bn)].is_output = true;
    n.add(layer_kind::linear, {bn});
    want = fold_reason::other_readers;
  }
  SECTION("no reader") { want = fold_reason::precedes_output; }
  SECTION("addition") {
    n.add(layer_kind::add, {bn, x});
    want = fold_reason::precedes_add;
  }
  SECTION("addition to itself") {
    n.add(layer_kind::add, {bn, bn});
    want = fold_reason::other_readers;
  }
  SECTION("concatenation") {
    n.add(layer_kind::concat, {bn, x});
    want = fold_reason::precedes_concat;
  }
  SECTION("activation") {
    n.add(layer_kind::relu6, {bn});
    want = fold_reason::precedes_activation;
  }
  SECTION("max pooling with factors of both signs") {
    n.add(layer_kind::linear, {n.add(layer_kind::max_pool, {bn})});
    want = fold_reason::precedes_pooling;
  }
  SECTION("max pooling with positive factors") {
    n.nodes[std::size_t(bn)].positive_scale = true;
    n.add(layer_kind::linear, {n.add(layer_kind::max_pool, {bn})});
    want = fold_reason::foldable;
  }
  SECTION("average pooling that counts its padding") {
    n.add(layer_kind::linear, {n.add({.kind = layer_kind::average_pool, .zero_padding = 1}, {bn})});
    want = fold_reason::precedes_pooling;
  }
  SECTION("flatten") {
    n.add(layer_kind::other, {bn});
    want = fold_reason::precedes_other;
  }
  const auto v = n.verdict();
  CHECK(v.forward == want);
  CHECK(v.backward == fold_reason::follows_input);
  if (want == fold_reason::foldable) {
    CHECK(v.direction == fold_direction::forward);
    CHECK(v.target == index_type(n.nodes.size()) - 1);
  } else {
    CHECK(v.direction == fold_direction::none);
    CHECK(v.target == -1);
  }
}

TEST_CASE("backward is preferred to forward", "[fold]") {
  network n;
  const auto conv = n.add(layer_kind::convolution, {n.add(layer_kind::input)});
  const auto bn = n.add(layer_kind::batch_norm, {conv});
  n.add(layer_kind::linear, {bn});
  const auto v = n.verdict();
  CHECK(v.direction == fold_direction::backward);
  CHECK(v.target == conv);
  CHECK(v.forward == fold_reason::foldable);
}

TEST_CASE("a batch norm folds through what it commutes with", "[fold]") {
  network n;
  const auto conv = n.add(layer_kind::convolution, {n.add(layer_kind::input)});
  SECTION("identity and average pooling") {
    const auto pool = n.add(layer_kind::average_pool, {n.add(layer_kind::identity, {conv})});
    n.add(layer_kind::batch_norm, {pool});
    CHECK(n.verdict().target == conv);
  }
  SECTION("average pooling that counts zeros, where nothing is shifted") {
    const auto pool = n.add({.kind = layer_kind::average_pool, .zero_padding = 1}, {conv});
    n.add({.kind = layer_kind::batch_norm, .zero_shift = true}, {pool});
    CHECK(n.verdict().target == conv);
  }
  SECTION("max pooling, where every factor is positive") {
    const auto pool = n.add(layer_kind::max_pool, {conv});
    n.add({.kind = layer_kind::batch_norm, .positive_scale = true}, {pool});
    CHECK(n.verdict().target == conv);
  }
  SECTION("not where the pooled value is read elsewhere") {
    const auto pool = n.add(layer_kind::average_pool, {conv});
    n.add(layer_kind::relu, {pool});
    n.add(layer_kind::batch_norm, {pool});
    CHECK(n.verdict().backward == fold_reason::other_readers);
  }
  SECTION("not where the value before the pooling is read elsewhere") {
    const auto pool = n.add(layer_kind::average_pool, {conv});
    n.add(layer_kind::relu, {conv});
    n.add(layer_kind::batch_norm, {pool});
    CHECK(n.verdict().backward == fold_reason::other_readers);
  }
  SECTION("a pooling of nothing or of several") {
    const auto alone = GENERATE(true, false);
    const auto pool =
        alone ? n.add(layer_kind::average_pool) : n.add(layer_kind::average_pool, {conv, conv});
    n.add(layer_kind::batch_norm, {pool});
    CHECK(n.verdict().backward ==
          (alone ? fold_reason::follows_input : fold_reason::follows_other));
  }
}

TEST_CASE("batch norms in a row fold into the same layer in their order", "[fold]") {
  network n;
  const auto conv = n.add(layer_kind::convolution, {n.add(layer_kind::input)});
  const auto first = n.add({.kind = layer_kind::batch_norm, .positive_scale = true}, {conv});
  SECTION("directly") {
    n.add(layer_kind::batch_norm, {first});
    const auto all = n.audit();
    CHECK(all[0].target == conv);
    CHECK(all[1].target == conv);
    CHECK(all[0].forward == fold_reason::precedes_other);
  }
  SECTION("with a max pooling between, both need positive factors") {
    const auto pool = n.add(layer_kind::max_pool, {first});
    const auto second = n.add({.kind = layer_kind::batch_norm, .positive_scale = true}, {pool});
    CHECK(n.audit()[1].target == conv);
    n.nodes[std::size_t(second)].positive_scale = false;
    CHECK(n.audit()[1].backward == fold_reason::follows_pooling);
  }
  SECTION("not behind one that uses the statistics of the batch") {
    n.nodes[std::size_t(first)].batch_statistics = true;
    n.add(layer_kind::batch_norm, {first});
    CHECK(n.audit()[1].backward == fold_reason::follows_other);
  }
}

TEST_CASE("a concatenation of separate layers can be split", "[fold]") {
  network n;
  const auto x = n.add(layer_kind::input);
  const auto a = n.add(layer_kind::convolution, {x}), b = n.add(layer_kind::convolution, {x});
  const auto joined = n.add(layer_kind::concat, {a, b});
  const auto bn = n.add(layer_kind::batch_norm, {joined});
  n.add(layer_kind::relu, {bn});
  CHECK(n.verdict().backward == fold_reason::follows_separate_branches);
  CHECK(n.verdict().direction == fold_direction::none);
  n.add(layer_kind::relu, {a});
  CHECK(n.verdict().backward == fold_reason::follows_concat);
}

TEST_CASE("a concatenation that is read elsewhere cannot be split", "[fold]") {
  network n;
  const auto a = n.add(layer_kind::convolution, {n.add(layer_kind::input)});
  const auto joined = n.add({.kind = layer_kind::concat, .is_output = true}, {a});
  n.add(layer_kind::batch_norm, {joined});
  CHECK(n.verdict().backward == fold_reason::follows_concat);
}

TEST_CASE("statistics of the batch or the sample never fold", "[fold]") {
  network n;
  const auto a = n.add(layer_kind::convolution, {n.add(layer_kind::input)});
  const auto bn = n.add({.kind = layer_kind::batch_norm, .batch_statistics = true}, {a});
  const auto b = n.add(layer_kind::convolution, {bn});
  const auto norm = n.add(layer_kind::other_norm, {b});
  n.add(layer_kind::batch_norm, {norm});
  const auto all = n.audit();
  REQUIRE(all.size() == 3);
  CHECK(all[0].backward == fold_reason::batch_statistics);
  CHECK(all[0].forward == fold_reason::batch_statistics);
  CHECK(all[1].backward == fold_reason::sample_statistics);
  CHECK(all[1].direction == fold_direction::none);
  CHECK(all[2].backward == fold_reason::follows_other);
}

TEST_CASE("the block of a residual network folds completely", "[fold]") {
  network n;
  const auto x = n.add(layer_kind::relu, {n.add(layer_kind::input)});
  const auto c1 = n.add({.kind = layer_kind::convolution, .zero_padding = 1}, {x});
  const auto b1 = n.add(layer_kind::batch_norm, {c1});
  const auto c2 =
      n.add({.kind = layer_kind::convolution, .zero_padding = 1}, {n.add(layer_kind::relu, {b1})});
  const auto b2 = n.add(layer_kind::batch_norm, {c2});
  const auto c3 = n.add(layer_kind::convolution, {x});
  const auto b3 = n.add(layer_kind::batch_norm, {c3});
  n.add(layer_kind::relu, {n.add(layer_kind::add, {b2, b3})});
  const auto all = n.audit();
  REQUIRE(all.size() == 3);
  CHECK(all[0].target == c1);
  CHECK(all[1].target == c2);
  CHECK(all[2].target == c3);
}

TEST_CASE("a graph that contradicts itself is refused", "[fold]") {
  network n;
  const auto x = n.add(layer_kind::input);
  const auto a = n.add(layer_kind::convolution, {x});
  const auto bn = n.add(layer_kind::batch_norm, {a});
  std::vector<vq::fold_verdict> verdicts(1);
  const auto answer = [&] {
    const auto r = vq::audit_batch_norms(n.nodes, verdicts);
    return r ? status::ok : r.error();
  };
  std::vector<index_type> list;
  auto& conv = n.nodes[std::size_t(a)];
  SECTION("inputs that are not listed before their reader") {
    for (const index_type wrong : {index_type{-1}, a, bn, index_type{99}}) {
      list = {wrong};
      conv.inputs = list;
      CHECK(answer() == status::bad_argument);
    }
  }
  SECTION("a batch norm of two inputs") {
    list = {x, a};
    n.nodes[std::size_t(bn)].inputs = list;
    CHECK(answer() == status::bad_argument);
  }
  SECTION("consumers that do not read it, are missing, or do not exist") {
    list = {bn};
    conv.consumers = list;
    CHECK(answer() == status::ok);
    for (const index_type wrong : {x, a, index_type{99}}) {
      list = {wrong};
      CHECK(answer() == status::bad_argument);
    }
    list = {bn, bn};
    conv.consumers = list;
    CHECK(answer() == status::bad_argument);
    n.nodes[std::size_t(x)].consumers = list;
    list = {bn};
    conv.consumers = {};
    n.nodes[std::size_t(x)].consumers = list;
    CHECK(answer() == status::bad_argument);
  }
  SECTION("too little room for the verdicts") {
    verdicts.clear();
    CHECK(answer() == status::too_little_workspace);
  }
}

TEST_CASE("a network without batch norms has no verdicts", "[fold]") {
  network n;
  n.add(layer_kind::linear, {n.add(layer_kind::input)});
  CHECK(n.audit().empty());
  CHECK(vq::audit_batch_norms({}, {}).value() == 0);
}

TEST_CASE("every reason has a sentence of its own", "[fold]") {
  std::set<std::string> sentences;
  for (int i = 0; i <= int(fold_reason::precedes_other); ++i) {
    sentences.insert(vq::describe(static_cast<fold_reason>(i)));
  }
  CHECK(sentences.size() == std::size_t(fold_reason::precedes_other) + 1);
  CHECK(sentences.count("unknown reason") == 0);
}

TEST_CASE("signs of k and c are facts for the auditor", "[fold]") {
  const std::vector<float> mixed{1, -1}, positive{1, 2}, zeros{0, 0}, ones{1, 1};
  vq::batch_norm bn{.gamma = positive, .mean = zeros, .variance = ones};
  CHECK(vq::has_positive_scale(bn));
  CHECK(vq::has_zero_shift(bn));
  bn.gamma = mixed;
  CHECK_FALSE(vq::has_positive_scale(bn));
  bn.mean = ones;
  CHECK_FALSE(vq::has_zero_shift(bn));
}

TEST_CASE("the auditor's commutations hold in numbers", "[fold]") {
  // Pooling of a scaled and shifted map is the scaled and shifted pooled map.
  const float gamma[] = {0.5f, 2}, mean[] = {0.3f, -1}, variance[] = {1, 4};
  const vq::batch_norm bn{.gamma = gamma, .mean = mean, .variance = variance};
  const auto pool = [](const layers::map& x, bool take_largest) {
    layers::map y({1, 2, 2, 2});
    for (index_type c = 0; c < 2; ++c)
      for (index_type oy = 0; oy < 2; ++oy)
        for (index_type ox = 0; ox < 2; ++ox) {
          double sum = 0, most = -1e30;
          for (index_type k = 0; k < 4; ++k) {
            const double v = x(0, c, 2 * oy + k / 2, 2 * ox + k % 2);
            sum += v;
            most = std::max(most, v);
          }
          y(0, c, oy, ox) = take_largest ? most : sum / 4;
        }
    return y;
  };
  const auto x = layers::random_map({1, 2, 4, 4}, 7);
  for (const bool take_largest : {true, false}) {
    CHECK(layers::distance(pool(layers::batch_norm(x, bn), take_largest),
                           layers::batch_norm(pool(x, take_largest), bn)) < 1e-14);
  }
}
