// What fills the memory of a device, as one stacked bar against its limit.
#ifndef TOOL_REPORT_MEMORY_CHART_HPP
#define TOOL_REPORT_MEMORY_CHART_HPP

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "demo/svg.hpp"

namespace tool::report_page {

struct memory_part {
  std::string what;
  double bytes = 0;
};
struct memory_bar {
  std::string label;  // of a recipe
  std::vector<memory_part> parts;
};

// `limit` is in bytes; 0 draws none. Parts have the styles part0, part1, ... by their place.
inline std::string memory_chart(std::span<const memory_bar> bars, double limit) {
  namespace svg = demo::svg;
  constexpr double width = 640, left = 150, right = 628, top = 8, row = 34;
  double most = limit;
  for (const memory_bar& b : bars) {
    double sum = 0;
    for (const memory_part& p : b.parts) sum += p.bytes;
    most = std::max(most, sum);
  }
  const double base = top + row * static_cast<double>(bars.size());
  const double unit = most < 1e9 ? 1e6 : 1e9;
  const auto x = svg::axis::linear(0, std::max(1.04 * most / unit, 1e-3), left, right);
  svg::drawing out(width, base + 36, "memory by part");
  double y = top;
  for (const memory_bar& b : bars) {
    out.words(left - 6, y + 17, b.label, "left title");
    double from = 0;
    for (std::size_t i = 0; i < b.parts.size(); ++i) {
      const double to = from + b.parts[i].bytes / unit;
      out.path("M" + svg::place(x(from)) + " " + svg::place(y + 3) + "H" + svg::place(x(to)) +
                   "v20H" + svg::place(x(from)) + "Z",
               "part" + std::to_string(i % 8));
      from = to;
    }
    y += row;
  }
  if (limit > 0) {
    out.path("M" + svg::place(x(limit / unit)) + " " + svg::place(top) + "V" + svg::place(base),
             "chosen");
  }
  out.axis_below(x, base);
  out.words((left + right) / 2, base + 32, most < 1e9 ? "MB (1e6 bytes)" : "GB (1e9 bytes)",
            "below");
  return out.str();
}

}  // namespace tool::report_page

#endif
