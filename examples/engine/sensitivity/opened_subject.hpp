// A model folder and its data as a subject (subject.hpp), whatever its architecture.
//
//   auto s = open_subject("models/vit", {.data = "models/data/cifar10-calib.safetensors"});
//   (*s)->weights();
#ifndef ENGINE_SENSITIVITY_OPENED_SUBJECT_HPP
#define ENGINE_SENSITIVITY_OPENED_SUBJECT_HPP

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/sensitivity/proxy.hpp"
#include "engine/sensitivity/subject.hpp"

namespace engine {

struct subject_request {
  std::filesystem::path data;          // empty: the calibration data beside the model, ../data
  bool inputs = false;                 // formats of the layers' inputs instead of their weights
  std::optional<proxy> estimate = {};  // instead of running the network for each trial
  index_type items = 512;              // images or questions
  index_type subsets = 8;
  bool restart = true;  // keep what layers read, so that a trial begins at its first layer
  index_type threads = 1;
};

struct opened_subject {
  std::unique_ptr<subject> model;
  std::string name;                               // of the folder
  std::filesystem::path data;                     // that was read
  std::vector<vq::tensor_info> tensors;           // all of the checkpoint
  std::map<std::string, std::string> about = {};  // where its numbers come from, for a table
};

// The formats of inputs, or the whole menu of weight formats that a plan can choose from.
std::vector<std::string> usual_formats(bool inputs);

// The test data beside a bundled model.
std::filesystem::path test_data(const std::filesystem::path& folder);

// Errors: what is wrong with which file.
vq::result<opened_subject, vq::failure> open_subject(const std::filesystem::path& folder,
                                                     const subject_request& request);

}  // namespace engine

#endif
