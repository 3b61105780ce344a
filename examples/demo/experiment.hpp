// One model: all its rows, the divergence of the estimators, and the checks.
#ifndef DEMO_EXPERIMENT_HPP
#define DEMO_EXPERIMENT_HPP

#include <optional>

#include "demo/report.hpp"
#include "engine/image_set.hpp"
#include "engine/model.hpp"
#include "engine/parallel.hpp"

namespace demo {

// Prints rows as they are measured and adds them to `out`. Returns what went wrong, if anything.
std::optional<vq::failure> run_experiment(const engine::model& model, const engine::image_set& test,
                                          const engine::image_set& calibration,
                                          const engine::parallel_for& run, report& out);

}  // namespace demo

#endif
