// Layers with quantized weights: kernels against simulation, recipes against PyTorch's simulation.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <variant>
#include <vector>

#include <vq/plan/built_in_recipes.hpp>

#include "engine/language/question_answering.hpp"
#include "engine/language/recipe_formats.hpp"
#include "language.hpp"

namespace {

using engine::index_type;
using engine::matrix;
using engine::weight_path;

matrix numbers(index_type rows, index_type columns, float seed) {
  matrix m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i) {
    m.data()[i] = std::sin(seed + 1.7f * static_cast<float>(i)) / static_cast<float>(1 + i % 7);
  }
  return m;
}

engine::tensor_formats formats(const char* model, const vq::recipe& recipe) {
  const auto opened = bundled::files(model);
  return engine::formats_of(bundled::require(engine::assign(recipe, opened.weights)));
}

}  // namespace

TEST_CASE("a layer in a kernel is its simulation up to the order of sums", "[engine]") {
  const matrix weight = numbers(96, 192, 0.1f), x = numbers(11, 192, 0.2f);
  const std::vector<float> bias(96, 0.25f);
  for (const char* format : {"nf4-block64", "nf4-block64-dq256", "nf4-block32", "fp4-block64",
                             "int8-channel", "int8-tensor", "int4-channel", "int4-group32"}) {
    CAPTURE(format);
    auto packed = engine::quantize_weight(weight, format, weight_path::packed);
    auto simulated = engine::quantize_weight(weight, format, weight_path::simulated);
    REQUIRE(packed);
    REQUIRE(simulated);
    REQUIRE(std::holds_alternative<engine::packed_weight>(*packed));
    const matrix& w = std::get<matrix>(*simulated);
    const matrix y = engine::linear_layer{*packed, bias}(x);
    const matrix floats = engine::linear_layer{w, bias}(x);
    for (index_type r = 0; r < y.rows(); ++r) {
      for (index_type n = 0; n < y.cols(); ++n) {
        double exact = 0.25, magnitude = 0.25;
        for (index_type k = 0; k < x.cols(); ++k) {
          exact += double{x(r, k)} * double{w(n, k)};
          magnitude += std::abs(double{x(r, k)} * double{w(n, k)});
        }
        const double bound = (192 + 4) * std::ldexp(1.0, -23) * magnitude;
        REQUIRE(std::abs(double{y(r, n)} - exact) <= bound);
        REQUIRE(std::abs(double{floats(r, n)} - exact) <= bound);
      }
    }
  }
}

TEST_CASE("formats without a kernel are simulated", "[engine]") {
  // Blocks of 64 that cross rows of 688 / 8 values, and codes of 3 and 6 bits.
  const matrix weight = numbers(16, 86, 0.3f);
  for (const char* format : {"nf4-block64", "int6-channel", "int3-channel", "e4m3-channel"}) {
    const auto w = engine::quantize_weight(weight, format, weight_path::packed);
    REQUIRE(w);
    CHECK(std::holds_alternative<matrix>(*w));
  }
  CHECK(engine::quantize_weight(weight, "int7-channel", weight_path::packed).error() ==
        vq::status::not_found);
  matrix broken = weight;
  broken(3, 3) = std::nanf("");
  CHECK(engine::quantize_weight(broken, "int8-channel", weight_path::packed).error() ==
        vq::status::not_finite);
}

TEST_CASE("levels of int3 rows, by hand", "[engine]") {
  matrix weight(1, 8);
  weight << 3, -3, 1.4f, 1.6f, 0.4f, -0.6f, 2.6f, 0;
  const auto w = engine::quantize_weight(weight, "int3-channel", weight_path::packed);
  matrix expected(1, 8);
  expected << 3, -3, 1, 2, 0, -1, 3, 0;
  REQUIRE(w);
  CHECK(std::get<matrix>(*w) == expected);
}

TEST_CASE("llava under the asymmetric recipe: kernels and simulation say the same", "[engine]") {
  const auto asymmetric = formats("llava", *vq::built_in_recipe("vlm-asymmetric"));
  REQUIRE(asymmetric.size() == 28);  // seven matrices in each of four layers
  const auto packed = bundled::built<engine::llava_model>("llava", asymmetric);
  const auto simulated =
      bundled::built<engine::llava_model>("llava", asymmetric, weight_path::simulated);
  CHECK(packed.layers.packed == 24);
  CHECK(packed.layers.simulated == 4);  // down_proj has rows of 688
  CHECK(simulated.layers.packed == 0);
  const engine::token_ids words{1, 10, 7, 54, 37, 22, 43, 8, 9, 7};
  const engine::row_range all{0, 10};
  const auto logits = [&](const engine::llava_model& m) {
    return m.decoder.logits(m.decoder.forward(m.decoder.embed(words), {&all, 1}));
  };
  bundled::require_close(bundled::values(logits(packed)), bundled::values(logits(simulated)),
                         1e-5f);
}

#if defined(__OPTIMIZE__)
TEST_CASE("right answers to the first 100 questions: as many as PyTorch's simulation", "[engine]") {
  using vq::component;
  const auto set = bundled::mosaics();
  const auto questions = set.questions().first(100);
  const auto prepare = bundled::files("llava").images;
  const engine::parallel_for run{2};
  const struct {
    const char* name;
    std::vector<vq::recipe_rule> rules;
    int right;  // peer-accuracy.json, right_of_first_100
  } rows[] = {
      {"float", {}, 90},
      {"nf4_block64.lm", {{.part = component::language_model, .format = "nf4-block64"}}, 90},
      {"nf4_block64.vision", {{.part = component::vision, .format = "nf4-block64"}}, 88},
      {"nf4_block64.vision_and_patch_conv",
       {{.part = component::vision, .format = "nf4-block64", .convolutions = true}},
       89},
      {"int4_per_channel.connector",
       {{.part = component::connector, .format = "int4-channel"}},
       90},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    const auto chosen =
        row.rules.empty() ? engine::tensor_formats{} : formats("llava", {row.name, "", row.rules});
    const auto llava = bundled::built<engine::llava_model>("llava", chosen);
    const auto features = engine::vision_features(llava, set, questions, prepare, run, [] {});
    const auto answers = engine::answer_questions(llava, questions, features, run, [] {});
    CHECK(std::accumulate(answers.right.begin(), answers.right.end(), 0) == row.right);
  }
}
#endif

TEST_CASE("teacher forcing is right exactly where greedy decoding is", "[engine]") {
  const auto set = bundled::mosaics();
  constexpr index_type count = std::min<index_type>(24, bundled::image_count);
  const auto questions = set.questions().first(engine::at(count));
  const auto llava = bundled::built<engine::llava_model>("llava");
  const engine::parallel_for run{1};
  const auto features =
      engine::vision_features(llava, set, questions, bundled::files("llava").images, run, [] {});
  const auto forced = engine::answer_questions(llava, questions, features, run, [] {});
  for (index_type i = 0; i < count; ++i) {
    const matrix image = llava.connect(features.middleRows(i * 64, 64));
    const auto& question = questions[engine::at(i)];
    const bool right = llava.answer(question.prompt, image, 24) == question.answer;
    CHECK(right == (forced.right[engine::at(i)] != 0));
  }
}
