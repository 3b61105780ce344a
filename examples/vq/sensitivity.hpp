// vq sensitivity: which layers of a model hurt, in which formats, on calibration data.
#ifndef TOOL_SENSITIVITY_HPP
#define TOOL_SENSITIVITY_HPP

#include <string>
#include <vector>

#include "command.hpp"

namespace tool {

struct sensitivity_command_options {
  std::string model;  // a folder
  std::string data;   // empty: beside the model
  std::string out;
  std::vector<std::string> formats;  // empty: the usual ones
  std::vector<std::string> procedures{"alone"};
  bool inputs = false;
  std::string proxy;    // an estimate instead of a measurement, by its name
  std::string against;  // another table, whose order is compared with that of this one
  int items = 512;
  int subsets = 8;
  int jobs = 1;
  int shown = 10;  // layers in the table, per format
};

outcome sensitivity(const sensitivity_command_options& options, const context& c);

}  // namespace tool

#endif
