// Gradients against central differences: of single operations, written down again in double, and of
// the bundled networks along random directions.
#include "engine/gradient.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bundled.hpp"

namespace {

using engine::index_type;
using engine::shape_type;
using vector = std::vector<double>;

std::mt19937 source(17);

std::vector<float> draw(index_type count) {
  std::normal_distribution<float> normal;
  std::vector<float> v(engine::at(count));
  for (float& x : v) x = normal(source);
  return v;
}

// One operation on one or two inputs, which come one after the other in the input node's place.
// `meaning` computes the same in double. The loss is the sum of outputs times fixed weights.
void same_as_differences(const engine::operation& op, const std::vector<shape_type>& in,
                         const std::function<vector(const std::vector<vector>&)>& meaning) {
  const shape_type out = *engine::output_shape(op, in);
  std::vector<std::vector<float>> x;
  for (const auto& shape : in) x.push_back(draw(engine::volume(shape)));
  const auto weights = draw(engine::volume(out));
  std::vector<const float*> pointers;
  std::vector<std::vector<float>> found(x.size());
  std::vector<float*> gradients;
  for (std::size_t i = 0; i < x.size(); ++i) {
    pointers.push_back(x[i].data());
    found[i].resize(x[i].size());
    gradients.push_back(found[i].data());
  }
  std::vector<float> y(engine::at(engine::volume(out)));
  const auto forward = engine::kernel_of(op, in, out);
  std::vector<float> scratch(engine::at(forward.scratch));
  forward.run(pointers, y.data(), scratch.data());
  engine::gradient_kernel_of(op, in, out)({pointers, y.data(), weights.data(), gradients});

  std::vector<vector> exact;
  for (const auto& values : x) exact.emplace_back(values.begin(), values.end());
  const auto loss = [&] {
    const vector values = meaning(exact);
    REQUIRE(values.size() == weights.size());
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * double{weights[i]};
    return sum;
  };
  const vector of_meaning = meaning(exact);
  for (std::size_t i = 0; i < y.size(); ++i) {
    CHECK(double{y[i]} == Approx(of_meaning[i]).margin(1e-5));
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t k = 0; k < x[i].size(); ++k) {
      const double here = exact[i][k], h = 1e-5;
      exact[i][k] = here + h;
      const double above = loss();
      exact[i][k] = here - h;
      const double below = loss();
      exact[i][k] = here;
      CAPTURE(i, k);
      CHECK(double{found[i][k]} == Approx((above - below) / (2 * h)).epsilon(1e-4).margin(1e-5));
    }
  }
}

double normal_distribution(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }

// The loss -log p[label] in double.
double cross_entropy(std::span<const float> logits, index_type label) {
  return -std::log(engine::probabilities_of(logits)[engine::at(label)]);
}

// <gradient, d> against the difference of losses when a node's output moves by +-h d.
void same_along_directions(const engine::graph& g, std::span<const float> image, double step,
                           double tolerance) {
  const engine::gradient_executor reverse(g);
  const engine::float_executor network(g);
  auto memory = reverse.workspace();
  auto other = network.workspace();
  // The least likely class: its loss is large, and nearly linear in the logits.
  const auto answer = network.run(image, other);
  const index_type label = std::min_element(answer.begin(), answer.end()) - answer.begin();
  std::vector<std::vector<float>> gradients(g.nodes.size());
  std::vector<index_type> order;
  reverse.run(
      image, memory,
      [&](std::span<const float> logits, std::span<float> gradient) {
        engine::cross_entropy_gradient(logits, label, gradient);
      },
      [&](index_type node, std::span<const float>, std::span<const float> gradient) {
        gradients[engine::at(node)].assign(gradient.begin(), gradient.end());
        order.push_back(node);
      });
  REQUIRE(order.size() == g.nodes.size());
  REQUIRE(order.front() == g.size() - 1);
  double worst = 0;
  const index_type stride = bundled::image_count >= 64 ? 1 : 16;  // few without optimization
  for (index_type node = 0; node < g.size(); node += stride) {
    const auto& gradient = gradients[engine::at(node)];
    // Along the gradient itself and a random direction of the same length: a difference well above
    // the rounding of floats.
    double length = 0;
    for (const float v : gradient) length += double{v} * double{v};
    length = std::sqrt(length);
    REQUIRE(length > 0);
    auto direction = draw(static_cast<index_type>(gradient.size()));
    double size = 0;
    for (const float v : direction) size += double{v} * double{v};
    double expected = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      direction[i] = static_cast<float>(double{gradient[i]} / length +
                                        0.5 * double{direction[i]} / std::sqrt(size));
      expected += double{gradient[i]} * double{direction[i]};
    }
    const double h = step / length;  // the loss moves by about `step`
    const auto moved = [&](double by) {
      return cross_entropy(network.run(image, other,
                                       [&](index_type i, std::span<float> output) {
                                         if (i != node) return;
                                         for (std::size_t k = 0; k < output.size(); ++k) {
                                           output[k] +=
                                               static_cast<float>(by * double{direction[k]});
                                         }
                                       }),
                           label);
    };
    const double difference = (moved(h) - moved(-h)) / (2 * h);
    CAPTURE(g[node].name, expected, difference);
    CHECK(std::fabs(difference - expected) <= tolerance * length);
    worst = std::max(worst, std::fabs(difference - expected) / length);
  }
  CHECK(worst > 0);
}

}  // namespace

TEST_CASE("gradient: every operation of a transformer against differences in double", "[engine]") {
  constexpr index_type tokens = 5, features = 6, heads = 2, each = features / heads;
  const shape_type sequence{tokens, features};
  const engine::linear fc{{{4, features}, draw(4 * features)}, draw(4), engine::unclamped};
  same_as_differences(fc, {sequence}, [&](const auto& x) {
    vector y;
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t o = 0; o < 4; ++o) {
        double& sum = y.emplace_back(double{fc.bias[o]});
        for (std::size_t i = 0; i < features; ++i) {
          sum += double{fc.weight.values[o * features + i]} * x[0][t * features + i];
        }
      }
    }
    return y;
  });
  const engine::layer_norm norm{draw(features), draw(features), 1e-3f};
  same_as_differences(norm, {sequence}, [&](const auto& x) {
    vector y;
    for (std::size_t t = 0; t < tokens; ++t) {
      double mean = 0, variance = double{norm.epsilon};
      for (std::size_t i = 0; i < features; ++i) mean += x[0][t * features + i] / features;
      for (std::size_t i = 0; i < features; ++i) {
        variance += std::pow(x[0][t * features + i] - mean, 2) / features;
      }
      for (std::size_t i = 0; i < features; ++i) {
        y.push_back((x[0][t * features + i] - mean) / std::sqrt(variance) * double{norm.gamma[i]} +
                    double{norm.beta[i]});
      }
    }
    return y;
  });
  same_as_differences(engine::gelu{}, {sequence}, [](const auto& x) {
    vector y;
    for (const double v : x[0]) y.push_back(v * normal_distribution(v));
    return y;
  });
  same_as_differences(engine::softmax{}, {{heads, tokens, tokens}}, [](const auto& x) {
    vector y;
    for (std::size_t r = 0; r < heads * tokens; ++r) {
      double sum = 0;
      for (std::size_t i = 0; i < tokens; ++i) sum += std::exp(x[0][r * tokens + i]);
      for (std::size_t i = 0; i < tokens; ++i) y.push_back(std::exp(x[0][r * tokens + i]) / sum);
    }
    return y;
  });
  same_as_differences(engine::attention_scores{heads}, {sequence, sequence}, [](const auto& x) {
    vector y;
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t q = 0; q < tokens; ++q) {
        for (std::size_t k = 0; k < tokens; ++k) {
          double& sum = y.emplace_back(0);
          for (std::size_t i = h * each; i < (h + 1) * each; ++i) {
            sum += x[0][q * features + i] * x[1][k * features + i] / std::sqrt(double{each});
          }
        }
      }
    }
    return y;
  });
  same_as_differences(
      engine::attention_context{heads}, {{heads, tokens, tokens}, sequence}, [](const auto& x) {
        vector y;
        for (std::size_t q = 0; q < tokens; ++q) {
          for (std::size_t i = 0; i < features; ++i) {
            double& sum = y.emplace_back(0);
            for (std::size_t k = 0; k < tokens; ++k) {
              sum += x[0][(i / each * tokens + q) * tokens + k] * x[1][k * features + i];
            }
          }
        }
        return y;
      });
  same_as_differences(engine::add{}, {sequence, sequence}, [](const auto& x) {
    vector y;
    for (std::size_t i = 0; i < x[0].size(); ++i) y.push_back(x[0][i] + x[1][i]);
    return y;
  });
  same_as_differences(engine::take_token{2}, {sequence}, [](const auto& x) {
    return vector(x[0].begin() + 2 * features, x[0].begin() + 3 * features);
  });
  const engine::to_tokens tokens_of{draw(3), {{5, 3}, draw(15)}};
  same_as_differences(tokens_of, {{2, 2, 3}}, [&](const auto& x) {
    vector y(tokens_of.class_token.begin(), tokens_of.class_token.end());
    y.insert(y.end(), x[0].begin(), x[0].end());
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += double{tokens_of.positions.values[i]};
    return y;
  });
}

TEST_CASE("gradient: one token, and one head", "[engine]") {
  same_as_differences(engine::softmax{}, {{1, 1, 1}}, [](const auto&) { return vector{1}; });
  same_as_differences(engine::attention_scores{1}, {{1, 1}, {1, 1}},
                      [](const auto& x) { return vector{x[0][0] * x[1][0]}; });
}

TEST_CASE("gradient: convolutions in groups, with stride and padding", "[engine]") {
  engine::conv2d conv;
  conv.weight = {{4, 1, 3, 2}, draw(4 * 3 * 2)};
  conv.bias = draw(4);
  conv.stride = 2;
  conv.padding = 1;
  conv.groups = 2;
  same_as_differences(conv, {{4, 5, 2}}, [&](const auto& x) {
    vector y;
    for (int r = 0; r < 2; ++r) {
      for (int s = 0; s < 3; ++s) {
        for (int o = 0; o < 4; ++o) {
          double& sum = y.emplace_back(double{conv.bias[engine::at(o)]});
          for (int j = 0; j < 3; ++j) {
            for (int i = 0; i < 2; ++i) {
              const int row = 2 * r + j - 1, column = 2 * s + i - 1;
              if (row < 0 || row >= 4 || column < 0 || column >= 5) continue;
              sum += double{conv.weight.values[engine::at((o * 3 + j) * 2 + i)]} *
                     x[0][engine::at((row * 5 + column) * 2 + o / 2)];
            }
          }
        }
      }
    }
    return y;
  });
}

TEST_CASE("gradient: every node of the vision transformer", "[engine]") {
  const auto model = bundled::model("vit");
  const auto images = bundled::test_images(model);
  same_along_directions(model.network, images.read(3), 0.01, 5e-3);
}

TEST_CASE("gradient: every node of a network with clamps and pooling", "[engine]") {
  const auto model = bundled::model("resnet20");
  const auto images = bundled::test_images(model);
  same_along_directions(bundled::folded(model.network), images.read(3), 0.02, 2e-2);
}

TEST_CASE("gradient: losses at the logits", "[engine]") {
  const std::vector<float> logits{1, -0.5f, 2, 0.25f}, target{0, 0.5f, 1, 3};
  const auto difference = [&](auto loss, std::size_t i) {
    std::vector<float> z = logits;
    z[i] += 1e-2f;
    const double above = loss(z);
    z[i] = logits[i] - 1e-2f;
    return (above - loss(z)) / 2e-2;
  };
  std::vector<float> gradient(4);
  engine::cross_entropy_gradient(logits, 2, gradient);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(gradient[i] ==
          Approx(difference([](const auto& z) { return cross_entropy(z, 2); }, i)).margin(1e-4));
  }
  engine::divergence_gradient(logits, target, gradient);
  const auto t = engine::probabilities_of(target);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto kl = [&](const auto& z) {
      const auto p = engine::probabilities_of(z);
      double sum = 0;
      for (std::size_t k = 0; k < 4; ++k) sum += t[k] * std::log(t[k] / p[k]);
      return sum;
    };
    CHECK(gradient[i] == Approx(difference(kl, i)).margin(1e-4));
  }
  engine::divergence_gradient(logits, logits, gradient);
  for (const float g : gradient) CHECK(g == 0);

  const auto p = engine::probabilities_of(logits);
  std::vector<double> second(16);
  constexpr int draws = 20000;
  for (int n = 0; n < draws; ++n) {
    engine::fisher_gradient(logits, source, gradient);
    for (std::size_t k = 0; k < 16; ++k) {
      second[k] += double{gradient[k / 4]} * double{gradient[k % 4]} / draws;
    }
  }
  for (std::size_t k = 0; k < 16; ++k) {
    const double expected = (k / 4 == k % 4 ? p[k / 4] : 0) - p[k / 4] * p[k % 4];
    CHECK(second[k] == Approx(expected).margin(0.01));
  }
}
