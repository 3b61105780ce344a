// The transformer: all its rows, the formats that were chosen, and how far the simulation agrees with
// the integers.
#ifndef DEMO_TRANSFORMER_EXPERIMENT_HPP
#define DEMO_TRANSFORMER_EXPERIMENT_HPP

#include <optional>
#include <string>

#include "demo/report.hpp"
#include "engine/image_set.hpp"
#include "engine/model.hpp"
#include "engine/parallel.hpp"

namespace demo {

// Only variants whose name matches `pattern` ('*' and '?'). Prints rows as they are measured and adds
// them to `out`. Returns what went wrong, if anything.
std::optional<vq::failure> run_transformer_experiment(const engine::model& model,
                                                      const engine::image_set& test,
                                                      const engine::image_set& calibration,
                                                      const engine::parallel_for& run,
                                                      const std::string& pattern, report& out);

}  // namespace demo

#endif
