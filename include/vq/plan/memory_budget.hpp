// What fits a given memory: the most precise recipe, and the longest context with it.
//
//   const auto fit = vq::fit_budget(model, formats, 16'000'000'000, {.images = {{1024, 1024}}});
//   if (fit->chosen) use(fit->options[*fit->chosen]);   // recipe, plan, longest context
//   else report(fit->why_not);
//
// Recipes are tried from precise to small: everything as it is, INT8 language model, NF4 language
// model (with the layers that attend to the image in 16 bits, then without), NF4 everywhere. The
// first with room for the requested context is chosen. Where none has, `why_not` says what takes
// the room, and what would help.
#ifndef VQ_PLAN_MEMORY_BUDGET_HPP
#define VQ_PLAN_MEMORY_BUDGET_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/memory.hpp>

namespace vq::inline v1 {

struct budget_option {
  recipe used;
  memory_plan memory;              // at the requested context
  index_type longest_context = 0;  // 0: not even one token fits
};

struct budget_fit {
  std::vector<budget_option> options;  // as tried
  std::optional<std::size_t> chosen;   // of options
  std::string why_not;                 // a sentence where nothing is chosen
};

// Text tokens that a model was made for, beside those of the images.
inline index_type context_limit(const model_architecture& model, index_type visual_tokens) {
  const index_type longest = model.decoder.longest_context;
  return longest > 0 ? longest - visual_tokens : index_type{1} << 20;
}

// The largest context whose total stays within the budget, at most `limit`; 0 where there is none.
inline index_type longest_context(const model_architecture& model, const assignment& plan,
                                  memory_request request, std::uint64_t budget, index_type limit) {
  const auto fits = [&](index_type context) {
    request.context = context;
    return plan_memory(model, plan, request).total <= budget;
  };
  if (!model.has_decoder() || limit < 1 || !fits(1)) return 0;
  index_type low = 1, high = limit;  // low fits
  if (fits(high)) return high;
  while (high - low > 1) {
    const index_type middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

// One sentence: what the memory goes to, and what would fit.
inline std::string explain_shortage(const model_architecture& model, const assignment& plan,
                                    const memory_request& request, std::uint64_t budget) {
  const memory_plan memory = plan_memory(model, plan, request);
  std::string text = sentence("recipe ", in_quotes(plan.used.name), " needs ",
                              spelled_bytes(memory.total), " of ", spelled_bytes(budget));
  if (memory.weights > budget) {
    return text += sentence(": the weights alone take ", spelled_bytes(memory.weights));
  }
  const memory_item* largest = nullptr;
  for (const memory_item& i : memory.items) {
    if (i.what.starts_with("weights")) continue;
    if (largest == nullptr || i.bytes > largest->bytes) largest = &i;
  }
  text += sentence(": weights take ", spelled_bytes(memory.weights));
  if (largest != nullptr) {
    text +=
        sentence(", ", largest->what, " ", spelled_bytes(largest->bytes), " (", largest->why, ")");
  }
  memory_request frugal = request;
  std::string remedy;
  const auto try_remedy = [&](std::string_view name) {
    remedy += sentence(remedy.empty() ? "" : " and ", name);
    return plan_memory(model, plan, frugal).total <= budget;
  };
  bool helps = false;
  if (request.attention == attention_kernel::eager) {
    frugal.attention = attention_kernel::fused;
    helps = try_remedy("fused attention");
  }
  if (!helps && request.scores == score_positions::all) {
    frugal.scores = score_positions::last;
    helps = try_remedy("scores of the last position alone");
  }
  if (!helps && !remedy.empty() && frugal.cache == cache_format::f16) {
    frugal.cache = cache_format::f8;
    helps = try_remedy("an 8-bit cache");
  }
  return helps ? text += sentence("; with ", remedy, " it fits") : text;
}

// Errors: none of the recipes can be applied to the model.
inline result<budget_fit, failure> fit_budget(const model_architecture& model,
                                              std::span<const weight_format> formats,
                                              std::uint64_t budget,
                                              const memory_request& request = {}) {
  const bool plain = std::ranges::none_of(model.tensors, [](const tensor_info& t) {
    const component c = classify(t.name);
    return c == component::text_tower || c == component::connector;
  });
  std::vector<recipe> candidates{{"as-is", "every tensor as it is", {}}};
  for (const char* name : {"clip-text-int8", "vit-selective", "vlm-int8",
                           "vlm-asymmetric-cross-attention-16", "vlm-asymmetric", "all-nf4"}) {
    // A plain vision transformer alone: in a larger model the tower is what to spare.
    if (std::string_view(name) == "vit-selective" && (model.has_decoder() || !plain)) continue;
    if (auto r = built_in_recipe(name)) candidates.push_back(*std::move(r));
  }
  budget_fit fit;
  for (recipe& candidate : candidates) {
    const auto plan = apply(candidate, model.tensors, formats, model.facts());
    if (!plan) continue;  // made for another kind of model
    budget_option option{std::move(candidate), plan_memory(model, *plan, request), 0};
    option.longest_context = longest_context(model, *plan, request, budget,
                                             context_limit(model, option.memory.visual_tokens));
    if (!fit.chosen && option.memory.total <= budget) fit.chosen = fit.options.size();
    fit.why_not = explain_shortage(model, *plan, request, budget);
    fit.options.push_back(std::move(option));
  }
  if (fit.options.empty()) {
    return failure{status::bad_argument, "no built-in recipe can be applied to this model"};
  }
  if (fit.chosen) fit.why_not.clear();
  return fit;
}

}  // namespace vq::inline v1

#endif
