// Fuzzing of what the planner reads: recipes, configurations of models, sensitivities, times.
//
// As a test it changes built-in recipes and the configurations of tests/plan/configs in thousands
// of places, the same ones every time. With Clang the same file searches for new inputs:
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -DVQ_LIBFUZZER -Iinclude
//     tests/fuzz/plan.cpp -o fuzz
//   ./fuzz -max_len=4096 new_inputs tests/plan/configs
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <vq/io/json_file.hpp>
#include <vq/plan/architecture.hpp>
#include <vq/plan/layer_times.hpp>
#include <vq/plan/memory.hpp>
#include <vq/plan/recipe.hpp>
#include <vq/plan/sensitivity_file.hpp>

namespace {

// Aborts where a promise is broken: a recipe or a table of sensitivities that was read is written and
// read to the same; a refusal has a sentence; whatever a configuration says, its tensors and its memory can be counted.
void feed(std::string_view text) {
  const auto recipe = vq::parse_recipe(text, "input");
  if (!recipe) {
    if (recipe.error().message.empty()) std::abort();
  } else {
    const auto again = vq::parse_recipe(vq::format_recipe(*recipe), "written");
    if (!again || *again != *recipe) std::abort();
  }
  if (const auto table = vq::parse_sensitivity(text, "input")) {
    const std::string written = vq::format_sensitivity(*table);
    const auto again = vq::parse_sensitivity(written, "written");
    if (!again || vq::format_sensitivity(*again) != written) std::abort();
  } else if (table.error().message.empty()) {
    std::abort();
  }
  const auto json = vq::parse_json(text, "input");
  if (!json) return;
  if (const auto times = vq::parse_layer_times(*json, "input")) {
    for (const auto& [layer, formats] : times->of_layer) {
      for (const auto& [format, time] : formats) {
        if (!(time >= 0)) std::abort();
      }
    }
  }
  const auto model = vq::read_architecture(*json, "input");
  if (!model) {
    if (model.error().message.empty()) std::abort();
    return;
  }
  vq::assignment as_is;
  for (const vq::tensor_info& t : model->tensors) {
    if (t.name.empty() || t.size() < 0) std::abort();
    vq::assigned_tensor assigned{t};
    assigned.bytes = t.stored_bytes();
    as_is.tensors.push_back(std::move(assigned));
  }
  const auto memory = vq::plan_memory(*model, as_is,
                                      {.context = 1 << 20,
                                       .images = {{1, 65'536}, {640, 480}},
                                       .batch = 65'536,
                                       .attention = vq::attention_kernel::eager,
                                       .scores = vq::score_positions::all});
  if (memory.total < memory.weights || memory.visual_tokens < 0) std::abort();
}

}  // namespace

#ifdef VQ_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  feed({reinterpret_cast<const char*>(data), size});
  return 0;
}

#else

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include <vq/plan/built_in_recipes.hpp>

#include "catch.hpp"

TEST_CASE("fuzz: recipes and configurations that were tampered with break no promise", "[fuzz]") {
#ifdef VQ_SOURCE_DIR
  const std::filesystem::path folder = VQ_SOURCE_DIR "/tests/plan/configs";
#else
  const auto folder =
      std::filesystem::path(__FILE__).parent_path().parent_path() / "plan" / "configs";
#endif
  std::vector<std::string> seeds;
  for (const std::string_view name : vq::built_in_recipe_names) {
    seeds.push_back(vq::format_recipe(*vq::built_in_recipe(name)));
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(entry.path());
    seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  REQUIRE(seeds.size() > 12);
  vq::sensitivity_file table{{{{"stem"}, {"head", "inputs"}}, {"int4-channel"}, {}, true},
                             {{"model", "a"}}};
  table.table.trials = {{vq::procedure::alone, 0, 1, {0.1, 1e-300}},
                        {vq::procedure::cumulative, 0, 0, {1.0 / 3, 5e300}}};
  seeds.push_back(vq::format_sensitivity(table));
  seeds.emplace_back(
      R"({"vq_times": 1, "unit": "ms", "layers": {"a": {"keep": 0.5, "nf4": 2e-3}}})");
  // Numbers and words, so that what comes out is still JSON more often than not.
  const std::vector<std::string> pieces{
      "0",        "-1",  "1048576", "65536", "4096", "1000", "null",      "true",
      "[]",       "{}",  "\"\"",    "1e9",   "0.3",  ",",    "\"llama\"", "\"siglip_vision_model\"",
      "\"keep\"", "\x80"};
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (std::string& seed : seeds) {
    feed(seed);
    for (int change = 0; change < 120; ++change) {
      std::string text = seed;
      for (std::size_t i = below(3) + 1; i > 0; --i) {
        std::size_t at = text.find_first_of("0123456789\"[", below(text.size()));
        if (at == std::string::npos) at = below(text.size());
        const std::size_t end = text.find_first_of(",}]\n", at);
        text.replace(at, end == std::string::npos ? 1 : end - at, pieces[below(pieces.size())]);
      }
      feed(text);
    }
  }
}

#endif
