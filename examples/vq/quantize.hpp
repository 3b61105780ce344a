// vq quantize: a checkpoint in the precision of a recipe, which other programs load.
#ifndef TOOL_QUANTIZE_HPP
#define TOOL_QUANTIZE_HPP

#include <string>

#include "conversion.hpp"
#include "encoding.hpp"

namespace tool {

struct quantize_options {
  std::string source, destination, recipe;
  container format = container::bitsandbytes;
  std::string share;  // K/N
  bool dry_run = false;
  conversion_options how;
};

// Errors: those of the recipe, before anything is written; of the source; of convert().
outcome quantize(const quantize_options& options, const context& c);

}  // namespace tool

#endif
