// vq safety: whether the integer layers of a model can overflow, on which instruction sets.
#ifndef TOOL_SAFETY_HPP
#define TOOL_SAFETY_HPP

#include <string>

#include "command.hpp"

namespace tool {

struct safety_command_options {
  std::string model;   // a folder
  std::string data;    // empty: beside the model
  std::string target;  // empty: all
  int images = 128;
  int jobs = 1;
};

outcome safety(const safety_command_options& options, const context& c);

}  // namespace tool

#endif
