// What fits a budget, and why not.
#include <string>
#include <vector>

#include <vq/plan/memory_budget.hpp>
#include <vq/plan/weight_formats.hpp>

#include "catch.hpp"
#include "plan/published.hpp"

namespace {

const std::vector<vq::weight_format> formats = vq::formats_of<vq::weight_formats>();
constexpr std::uint64_t gb = 1'000'000'000;

vq::budget_fit fit(const char* model, std::uint64_t budget,
                   const vq::memory_request& request = {}) {
  const auto found = vq::fit_budget(published::model(model), formats, budget, request);
  if (!found) FAIL(vq::describe(found.error()));
  return *found;
}
std::string chosen(const char* model, std::uint64_t budget,
                   const vq::memory_request& request = {}) {
  const auto found = fit(model, budget, request);
  return found.chosen ? found.options[*found.chosen].used.name : "none: " + found.why_not;
}

}  // namespace

TEST_CASE("memory_budget: the most precise recipe that has room", "[plan]") {
  CHECK(chosen("llava-1.5-7b", 24 * gb) == "as-is");
  CHECK(chosen("llava-1.5-7b", 16 * gb) == "vlm-int8");
  CHECK(chosen("llava-1.5-7b", 8 * gb) == "vlm-asymmetric");
  CHECK(chosen("llava-1.5-13b", 12 * gb) == "vlm-asymmetric");
  CHECK(chosen("llama-3.2-11b-vision", 16 * gb) == "vlm-int8");
  CHECK(chosen("llama-3.2-11b-vision", 13 * gb) == "vlm-asymmetric-cross-attention-16");
  CHECK(chosen("llama-3.2-11b-vision", 11 * gb) == "vlm-asymmetric");
  CHECK(chosen("llama-3.2-11b-vision", 9 * gb) == "all-nf4");
  CHECK(chosen("llama-3.2-90b-vision", 80 * gb) == "vlm-asymmetric");
}

TEST_CASE("memory_budget: the longest context fits, and one page more does not", "[plan]") {
  const auto model = published::model("llava-1.6-mistral-7b");
  const vq::memory_request request{.images = {{672, 672}}};
  const auto found = fit("llava-1.6-mistral-7b", 8 * gb, request);
  REQUIRE(found.chosen);
  const auto& option = found.options[*found.chosen];
  CHECK(option.used.name == "vlm-asymmetric");
  CHECK(option.longest_context > 2048);
  const auto plan = vq::apply(option.used, model.tensors, formats, model.facts());
  REQUIRE(plan);
  auto at = request;
  at.context = option.longest_context;
  CHECK(vq::plan_memory(model, *plan, at).total <= 8 * gb);
  at.context += 16;
  CHECK(vq::plan_memory(model, *plan, at).total > 8 * gb);
  // No more than the model was made for, the image's tokens included.
  const auto roomy = fit("llava-1.6-mistral-7b", 1000 * gb, request);
  CHECK(roomy.options[*roomy.chosen].longest_context == 32'768 - 2928);
}

TEST_CASE("memory_budget: why a high resolution runs out, and what helps", "[plan]") {
  const vq::memory_request eager{
      .context = 2048, .images = {{1120, 1120}}, .attention = vq::attention_kernel::eager};
  const auto model = published::model("llama-3.2-11b-vision");
  const auto plan =
      vq::apply(*vq::built_in_recipe("vlm-asymmetric"), model.tensors, formats, model.facts());
  REQUIRE(plan);
  REQUIRE(vq::plan_memory(model, *plan, eager).total > 12 * gb);
  const std::string why = vq::explain_shortage(model, *plan, eager, 12 * gb);
  CAPTURE(why);
  CHECK(why.find("transient: vision tower 2.845 GB") != std::string::npos);
  CHECK(why.find("attention scores: 6432 x 6432 x 16 heads x 2 bytes, a layer") !=
        std::string::npos);
  CHECK(why.ends_with("; with fused attention it fits"));

  // Qwen at 3584 x 3584: 16,384 tokens, 65,536 patches in one attention.
  const vq::memory_request large{.context = 512,
                                 .images = {{3584, 3584}},
                                 .attention = vq::attention_kernel::eager,
                                 .scores = vq::score_positions::all};
  const auto qwen = fit("qwen2.5-vl-7b", 24 * gb, large);
  CHECK_FALSE(qwen.chosen);
  CHECK(qwen.why_not.find("65536 x 65536 x 16 heads") != std::string::npos);
  CHECK(fit("qwen2.5-vl-7b", 24 * gb, {.context = 512, .images = {{3584, 3584}}}).chosen);
}

TEST_CASE("memory_budget: too little for the weights is said", "[plan]") {
  const auto found = fit("llama-3.2-90b-vision", 24 * gb);
  CHECK_FALSE(found.chosen);
  CHECK(found.why_not.starts_with("recipe 'all-nf4' needs "));
  CHECK(found.why_not.find("the weights alone take 48.9") != std::string::npos);
  for (const auto& option : found.options) CHECK(option.longest_context == 0);
}

TEST_CASE("memory_budget: models without a decoder", "[plan]") {
  CHECK(chosen("clip-vit-large-patch14", 3 * gb) == "as-is");
  const auto tight = fit("clip-vit-large-patch14", 21 * gb / 10);
  REQUIRE(tight.chosen);
  CHECK(tight.options[*tight.chosen].used.name == "clip-text-int8");
}
