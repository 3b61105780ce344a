// vq memory: what running a model takes, from config.json and headers alone.
//
// A folder with a checkpoint is counted from its headers, a configuration alone from the tensors
// that its family has (vq/plan/architecture.hpp); weights are never read. With a budget, the
// question is turned round: which recipe fits, and how long a context.
#ifndef TOOL_MEMORY_HPP
#define TOOL_MEMORY_HPP

#include <string>
#include <vector>

#include <vq/plan/memory.hpp>

#include "command.hpp"

namespace tool {

struct memory_options {
  std::string path;    // of a config.json, a folder or a .safetensors file
  std::string recipe;  // empty: every tensor as it is, or with a budget the most precise that fits
  std::string budget;  // empty: none
  std::vector<std::string> images{"1024x1024"};
  std::string fixed;  // empty: the planner's own
  std::string cache = "f16", attention = "fused", scores = "last";
  vq::memory_request request;
};

outcome memory(const memory_options& options);

}  // namespace tool

#endif
