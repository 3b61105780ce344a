// Front door of planning: components of vision-language models, weight formats by name, recipes,
// the tensors of a model from its configuration, the memory that running it takes.
//
// Needs nlohmann/json (CMake: vq::json). Works on names, shapes and configurations, never on
// values; everything that can fail returns result<T, failure> with a sentence.
#ifndef VQ_PLAN_HPP
#define VQ_PLAN_HPP

#include <vq/plan/allocation_search.hpp>
#include <vq/plan/architecture.hpp>
#include <vq/plan/assignment.hpp>
#include <vq/plan/bit_allocation.hpp>
#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/byte_size.hpp>
#include <vq/plan/component.hpp>
#include <vq/plan/format_plan.hpp>
#include <vq/plan/layer_times.hpp>
#include <vq/plan/memory.hpp>
#include <vq/plan/memory_budget.hpp>
#include <vq/plan/name_layout.hpp>
#include <vq/plan/recipe.hpp>
#include <vq/plan/sensitivity_file.hpp>
#include <vq/plan/skip_modules.hpp>
#include <vq/plan/summary.hpp>
#include <vq/plan/tied_layers.hpp>
#include <vq/plan/visual_tokens.hpp>
#include <vq/plan/weight_format.hpp>
#include <vq/plan/weight_formats.hpp>

#endif
