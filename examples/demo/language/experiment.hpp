// Measures the rows of a demo; both print a table and return it as JSON.
#ifndef DEMO_LANGUAGE_EXPERIMENT_HPP
#define DEMO_LANGUAGE_EXPERIMENT_HPP

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "demo/language/peer_accuracy.hpp"
#include "engine/language/mosaic_set.hpp"
#include "engine/parallel.hpp"

namespace demo {

struct language_inputs {
  std::filesystem::path model;
  engine::mosaic_set set;
  peer_accuracy peers;
  std::string variants;  // names of rows: '*.vision'; empty: those shown by default
  engine::parallel_for run;
};

using experiment_result = vq::result<nlohmann::ordered_json, vq::failure>;

experiment_result run_llava_experiment(const language_inputs& in);
experiment_result run_clip_experiment(const language_inputs& in);

}  // namespace demo

#endif
