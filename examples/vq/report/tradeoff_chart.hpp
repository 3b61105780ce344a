// Accuracy against bytes, with the front of what nothing beats on both.
#ifndef TOOL_REPORT_TRADEOFF_CHART_HPP
#define TOOL_REPORT_TRADEOFF_CHART_HPP

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "demo/svg.hpp"

namespace tool::report_page {

struct tradeoff_point {
  std::string label;
  double bytes = 0;
  double accuracy = 0;        // in per cent
  double standard_error = 0;  // of the accuracy
};

// Those that no other point beats: at most as many bytes and at least the accuracy, and one of both
// better. Numbers of points by rising bytes; of equal points the first.
inline std::vector<std::size_t> pareto_front(std::span<const tradeoff_point> points) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].bytes != points[b].bytes ? points[a].bytes < points[b].bytes
                                              : points[a].accuracy > points[b].accuracy;
  });
  std::vector<std::size_t> front;
  double best = -std::numeric_limits<double>::infinity();
  for (const std::size_t i : order) {
    if (points[i].accuracy <= best) continue;
    best = points[i].accuracy;
    front.push_back(i);
  }
  return front;
}

inline std::string tradeoff_chart(std::span<const tradeoff_point> points) {
  namespace svg = demo::svg;
  constexpr double width = 640, height = 360, left = 46, right = 628, top = 12, base = 326;
  double least = points[0].bytes, most = least, low = 100, high = 0;
  for (const tradeoff_point& p : points) {
    least = std::min(least, p.bytes);
    most = std::max(most, p.bytes);
    low = std::min(low, p.accuracy - p.standard_error);
    high = std::max(high, p.accuracy + p.standard_error);
  }
  const double room = std::max(0.05 * (high - low), 0.1);
  const auto x = svg::axis::linear(least - 0.04 * (most - least) - 1,
                                   most + 0.04 * (most - least) + 1, left, right);
  const auto y = svg::axis::linear(low - room, high + room, base, top);
  svg::drawing out(width, height, "accuracy against bytes");
  out.axis_at_left(y, left, right);
  out.axis_below(x, base);
  out.words((left + right) / 2, height - 4, "bytes", "below");

  const std::vector<std::size_t> front = pareto_front(points);
  std::string line;
  for (const std::size_t i : front) {
    line += (line.empty() ? "M" : "L") + svg::place(x(points[i].bytes)) + " " +
            svg::place(y(points[i].accuracy));
  }
  out.path(line, "front");
  for (std::size_t i = 0; i < points.size(); ++i) {
    const tradeoff_point& p = points[i];
    const bool best = std::find(front.begin(), front.end(), i) != front.end();
    const double at_x = x(p.bytes), at_y = y(p.accuracy);
    out.path("M" + svg::place(at_x) + " " + svg::place(y(p.accuracy - p.standard_error)) + "V" +
                 svg::place(y(p.accuracy + p.standard_error)),
             "whiskers");
    out.path("M" + svg::place(at_x - 4) + " " + svg::place(at_y) + "a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
             best ? "dots of-front" : "dots");
    // Words stand to the side that has room.
    const bool before = at_x > (left + right) / 2;
    out.words(at_x + (before ? -8 : 8), at_y + (best ? -6 : 14), p.label,
              before ? "right" : "title");
  }
  return out.str();
}

}  // namespace tool::report_page

#endif
