// `vq report`: one page of HTML from what the other commands measured.
//
// The page is a function of the files it is given; each section says which one its numbers come
// from. It needs no network and no script.
#ifndef TOOL_REPORT_HPP
#define TOOL_REPORT_HPP

#include <string>
#include <vector>

#include "command.hpp"

namespace tool {

struct report_options {
  std::string out;                         // the page
  std::string title;                       // empty: the model's folder
  std::string model;                       // a checkpoint, for precisions and distributions
  std::vector<std::string> recipes;        // and plans: a table of components each
  std::vector<std::string> evaluations;    // JSON of the demos and of `vq eval`
  std::vector<std::string> sensitivities;  // of `vq sensitivity`
  std::vector<std::string> formats;        // of these tables that are drawn; empty: all
  std::vector<std::string> memories;       // JSON of `vq memory`
  int layers = 4;                          // whose distributions are drawn
};

outcome write_report(const report_options& options, const context& c);

}  // namespace tool

#endif
