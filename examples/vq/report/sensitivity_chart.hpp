// One bar for each layer, the one that hurts most above, with two standard errors to both sides.
#ifndef TOOL_REPORT_SENSITIVITY_CHART_HPP
#define TOOL_REPORT_SENSITIVITY_CHART_HPP

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <vq/analyze/sensitivity.hpp>

#include "demo/svg.hpp"

namespace tool::report_page {

using vq::index_type;

// What all names begin with, up to a dot.
inline std::string common_beginning(const std::vector<vq::sensitivity_layer>& layers) {
  std::string_view common = layers.empty() ? "" : std::string_view(layers.front().name);
  for (const vq::sensitivity_layer& l : layers) {
    std::size_t same = 0;
    while (same < common.size() && same < l.name.size() && common[same] == l.name[same]) ++same;
    common = common.substr(0, same);
  }
  const std::size_t dot = common.rfind('.');
  return std::string(common.substr(0, dot == std::string_view::npos ? 0 : dot + 1));
}

// The end of a long name.
inline std::string shown_name(const vq::sensitivity_layer& layer, std::size_t skipped) {
  constexpr std::size_t longest = 34;
  std::string name = layer.name.substr(skipped);
  if (!layer.part.empty() && layer.part != "weights") name += " (" + layer.part + ")";
  if (name.size() <= longest) return name;
  const std::size_t dot = name.find('.', name.size() - longest + 3);  // whole parts of the name
  return "..." + name.substr(dot == std::string::npos ? name.size() - longest + 3 : dot + 1);
}

// "3", or "2-5" where the data do not tell.
inline std::string rank_text(const vq::rank_interval& r) {
  const std::string first = std::to_string(r.first);
  return r.stable() ? first : first + "-" + std::to_string(r.last);
}

// Empty where nothing was measured alone in this format.
inline std::string sensitivity_chart(const vq::sensitivity_table& table, index_type format) {
  namespace svg = demo::svg;
  const std::vector<vq::rank_interval> ranks = table.ranks(format);
  if (ranks.empty()) return {};
  constexpr double width = 640, left = 216, right = 588, top = 6, row = 17;
  const double base = top + row * static_cast<double>(ranks.size()) + 4;

  double least = 1e300, most = 0;
  for (const vq::rank_interval& r : ranks) {
    const double mean = table.of(vq::procedure::alone, format, r.layer)->mean();
    if (mean > 0) least = std::min(least, mean);
    most = std::max(most, mean);
  }
  if (!(most > 0)) most = least = 1e-9;
  const auto x = svg::axis::logarithmic(std::pow(10, std::floor(std::log10(least / 1.5))),
                                        1.6 * most, left, right);
  svg::drawing out(
      width, base + 22,
      "sensitivity of each layer in " + table.formats[static_cast<std::size_t>(format)]);
  const std::size_t skipped = common_beginning(table.layers).size();
  std::string bars, whiskers;
  double y = top;
  for (const vq::rank_interval& r : ranks) {
    const auto* trial = table.of(vq::procedure::alone, format, r.layer);
    const double mean = trial->mean(), error = 2 * trial->standard_error();
    out.words(left - 6, y + 12,
              shown_name(table.layers[static_cast<std::size_t>(r.layer)], skipped), "left title");
    bars += "M" + svg::place(left) + " " + svg::place(y + 3) + "H" + svg::place(x(mean)) + "v11H" +
            svg::place(left) + "Z";
    if (std::isfinite(error)) {
      const double to = x(mean + error);
      whiskers += "M" + svg::place(x(mean - error)) + " " + svg::place(y + 8.5) + "H" +
                  svg::place(to) + "m0 -3v6";
    }
    out.words(right + 6, y + 12, "#" + rank_text(r), "rank");
    y += row;
  }
  out.path(bars, "bars");
  out.path(whiskers, "whiskers");
  out.axis_below(x, base);
  return out.str();
}

}  // namespace tool::report_page

#endif
