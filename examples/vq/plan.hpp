// vq plan: from a table of sensitivities to the formats that hurt least under a limit of bytes.
#ifndef TOOL_PLAN_HPP
#define TOOL_PLAN_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "command.hpp"

namespace tool {

struct plan_command_options {
  std::string table;  // of vq sensitivity
  std::string model;  // a checkpoint: folder or file
  std::string out;
  std::string pins;                  // a recipe
  std::int64_t bytes = 0;            // of the whole model, or
  double bits = 0;                   // of the weights that the table names, in the mean
  std::vector<std::string> formats;  // that may be chosen; empty: all of the table
  bool untied = false;
  std::vector<std::string> least_bits;  // "vision=4"
  std::string times;                    // of layers in formats, and
  double time = 0;                      // their limit
};

outcome plan(const plan_command_options& options, const context& c);

}  // namespace tool

#endif
