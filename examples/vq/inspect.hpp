// vq inspect: what a checkpoint holds, without loading it.
//
// Headers alone are read unless the statistics of values are asked for; those stream through the
// file, a tensor per thread at a time.
#ifndef TOOL_INSPECT_HPP
#define TOOL_INSPECT_HPP

#include <string>

#include "command.hpp"

namespace tool {

struct inspect_options {
  std::string path;
  bool tensors = false;  // a row per tensor, with statistics of its values
  int jobs = 1;
};

outcome inspect(const inspect_options& options, const context& c);

}  // namespace tool

#endif
