// Accuracy against bytes, with the front of what nothing beats on both.
#ifndef TOOL_REPORT_TRADEOFF_CHART_HPP
#define TOOL_REPORT_TRADEOFF_CHART_HPP

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "demo/svg.hpp"
#include "label_places.hpp"

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

struct tradeoff_drawing {
  std::string svg;
  std::vector<std::size_t> unnamed;  // points whose names found no room
};

struct named {
  std::vector<std::pair<std::size_t, label_place>> found;
  std::vector<std::size_t> missing;
};

// Who comes first has the choice: the order as given, and where names are left over, every point of
// those once before all others. The first order with the fewest left over.
template <class Find>
named name_points(const label_places& free, std::vector<std::size_t> order, const Find& find) {
  named best;
  for (std::size_t round = 0; round <= order.size(); ++round) {
    label_places places = free;
    named now;
    for (const std::size_t i : order) {
      if (const auto place = find(i, places)) {
        now.found.emplace_back(i, *place);
      } else {
        now.missing.push_back(i);
      }
    }
    if (round == 0 || now.missing.size() < best.missing.size()) best = now;
    if (best.missing.empty()) break;
    const auto first = std::find(order.begin(), order.end(),
                                 now.missing.empty() ? order.front() : now.missing.front());
    std::rotate(order.begin(), first, first + 1);
  }
  return best;
}

inline tradeoff_drawing tradeoff_chart(std::span<const tradeoff_point> points) {
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
  label_places places({left + 2, top, right, base - 2});
  std::string line;
  double from_x = 0, from_y = 0;
  for (const std::size_t i : front) {
    const double to_x = x(points[i].bytes), to_y = y(points[i].accuracy);
    if (!line.empty()) places.keep_free_line(from_x, from_y, to_x, to_y);
    line += (line.empty() ? "M" : "L") + svg::place(to_x) + " " + svg::place(to_y);
    from_x = to_x, from_y = to_y;
  }
  out.path(line, "front");
  std::vector<std::size_t> order = front;  // the front has the first choice of places
  for (std::size_t i = 0; i < points.size(); ++i) {
    const tradeoff_point& p = points[i];
    const bool best = std::find(front.begin(), front.end(), i) != front.end();
    if (!best) order.push_back(i);
    const double at_x = x(p.bytes), at_y = y(p.accuracy);
    const double high_y = y(p.accuracy + p.standard_error),
                 low_y = y(p.accuracy - p.standard_error);
    out.path("M" + svg::place(at_x) + " " + svg::place(low_y) + "V" + svg::place(high_y),
             "whiskers");
    out.path("M" + svg::place(at_x - 4) + " " + svg::place(at_y) + "a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
             best ? "dots of-front" : "dots");
    places.keep_free({at_x - 5, at_y - 5, at_x + 5, at_y + 5});
    places.keep_free({at_x - 1, high_y, at_x + 1, low_y});
  }
  const named best = name_points(places, order, [&](std::size_t i, label_places& free) {
    return free.find(x(points[i].bytes), y(points[i].accuracy), points[i].label.size());
  });
  for (const auto& [i, place] : best.found) {
    const tradeoff_point& p = points[i];
    if (place.away) {
      out.path("M" + svg::place(x(p.bytes)) + " " + svg::place(y(p.accuracy)) + "L" +
                   svg::place(place.line_x) + " " + svg::place(place.line_y),
               "leader");
    }
    out.words(place.x, place.y, p.label, place.before ? "name right" : "name title");
  }
  return {out.str(), best.missing};
}

}  // namespace tool::report_page

#endif
