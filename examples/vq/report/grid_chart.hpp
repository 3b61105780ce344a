// The values of a weight, relative to the largest that they share a scale with, and the levels that a
// format has for them.
#ifndef TOOL_REPORT_GRID_CHART_HPP
#define TOOL_REPORT_GRID_CHART_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vq/plan/weight_formats.hpp>

#include "demo/svg.hpp"

namespace tool::report_page {

using vq::index_type;

struct grid_view {
  std::array<double, 128> counts{};  // of bins over [-1, 1]
  std::vector<float> levels;         // rising
  double expected_sqnr_db = 0;
};

// False where no such format is known. `values`: a matrix of this shape, row by row.
inline bool view_grid(std::string_view format, const vq::shape_type<2>& shape,
                      std::span<const float> values, grid_view& view) {
  return vq::visit_format<vq::weight_formats>(format, [&]<class Q>(Q q) {
    const vq::slices cut = Q::cut(shape);
    double power = 0, error = 0;
    for (index_type p = 0; p < cut.params(); ++p) {
      float largest = 0;
      cut.for_each_run(p, [&](index_type begin, index_type length) {
        for (index_type i = begin; i < begin + length; ++i) {
          largest = std::max(largest, std::fabs(values[static_cast<std::size_t>(i)]));
        }
      });
      if (!(largest > 0)) continue;
      const auto param = q.policy.fit({-largest, largest});
      cut.for_each_run(p, [&](index_type begin, index_type length) {
        for (index_type i = begin; i < begin + length; ++i) {
          const float x = values[static_cast<std::size_t>(i)];
          const auto bin = static_cast<std::size_t>((x / largest + 1) * 64);
          view.counts[std::min<std::size_t>(bin, 127)] += 1;
          const float back = q.policy.decode(q.policy.encode(x, param), param);
          power += double{x} * double{x};
          error += double{back - x} * double{back - x};
        }
      });
    }
    view.expected_sqnr_db = error > 0 ? 10 * std::log10(power / error) : 0;
    const auto unit = q.policy.fit({-1.f, 1.f});
    for (int i = -8192; i <= 8192; ++i) {
      const float level =
          q.policy.decode(q.policy.encode(static_cast<float>(i) / 8192, unit), unit) + 0.f;
      view.levels.push_back(level);
    }
    std::sort(view.levels.begin(), view.levels.end());
    view.levels.erase(std::unique(view.levels.begin(), view.levels.end()), view.levels.end());
  });
}

inline std::string grid_chart(std::string_view title, std::string_view format,
                              const grid_view& view) {
  namespace svg = demo::svg;
  constexpr double width = 420, left = 40, right = 412, top = 24, base = 140;
  double most = 1;
  for (const double c : view.counts) most = std::max(most, c);
  const auto x = svg::axis::linear(-1, 1, left, right);
  const auto y = svg::axis::logarithmic(0.5, 1.5 * most, base, top);
  svg::drawing out(width, 196, std::string(title) + " in " + std::string(format));
  out.words(left, 13, title, "title");
  char decibels[32];
  std::snprintf(decibels, sizeof decibels, "%.1f dB", view.expected_sqnr_db);
  out.words(right, 13, std::string(format) + ": " + decibels, "right");
  out.axis_at_left(y, left, right);
  std::vector<svg::bar> bars;
  for (std::size_t i = 0; i < view.counts.size(); ++i) {
    const double from = static_cast<double>(i) / 64 - 1;
    bars.push_back({from, from + 1.0 / 64, view.counts[i]});
  }
  out.bars(x, y, bars);
  out.ticks(x, view.levels, top, base, "over");
  out.axis_below(x, base);
  out.ticks(x, view.levels, base + 26, base + 42, "chosen");
  return out.str();
}

}  // namespace tool::report_page

#endif
