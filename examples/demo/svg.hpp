// Drawings of numbers as inline SVG: axes, bars, ticks and words.
//
//   svg::drawing d(400, 200, "what it shows");
//   const svg::axis x = svg::axis::linear(0, 1, 40, 390), y = svg::axis::logarithmic(1, 1e6, 180, 20);
//   d.bars(x, y, bars);
//   d.axis_below(x, 180);
//   std::string element = d.str();              // <svg ...>...</svg>
//
// A place is in units of the drawing, which scales to the width that it gets; y grows downwards. A
// style is the name of a CSS class, so that the page around it decides on colours; what is drawn here
// has the classes bars, axis, lines (across the drawing), below and left (of an axis: words).
#ifndef DEMO_SVG_HPP
#define DEMO_SVG_HPP

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace demo::svg {

// "12.5", "12"
inline std::string place(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", std::round(10 * x) / 10);
  return text;
}

// "0.25"; thousands and millions as 10k, 10M; below 0.001 as 2.5e-4.
inline std::string label(double value, int digits = 4) {
  const double size = std::fabs(value);
  char text[32];
  if (size > 0 && size < 0.9999e-3) {
    const double exponent = std::floor(std::log10(size) + 1e-9);
    std::snprintf(text, sizeof text, "%.*ge%.0f", digits, value / std::pow(10, exponent), exponent);
  } else if (size >= 1e6) {
    std::snprintf(text, sizeof text, "%.*gM", digits, value / 1e6);
  } else {
    std::snprintf(text, sizeof text, "%.*g%s", digits, size < 1e3 ? value : value / 1e3,
                  size < 1e3 ? "" : "k");
  }
  return text;
}

inline std::string escaped(std::string_view words) {
  std::string text;
  for (const char c : words) {
    text += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '"' ? "&quot;" : std::string(1, c);
  }
  return text;
}

// From values to places.
class axis {
 public:
  static axis linear(double from, double to, double first, double last) {
    return {from, to, first, last, spacing::even};
  }
  // 0 < from < to.
  static axis logarithmic(double from, double to, double first, double last) {
    return {std::log10(from), std::log10(to), first, last, spacing::logarithmic};
  }

  // Values beyond the ends come to lie on them.
  double operator()(double value) const {
    return first_ + (last_ - first_) * std::clamp(share(value), 0.0, 1.0);
  }
  bool holds(double value) const { return share(value) >= -1e-6 && share(value) <= 1 + 1e-6; }
  // A logarithmic axis has none, wherever it ends.
  bool can_hold_zero() const { return spacing_ == spacing::even; }
  double first() const { return first_; }
  double last() const { return last_; }

  // Round values, at most `most` of them: multiples of 1, 2 or 5, or powers of ten.
  std::vector<double> ticks(int most = 6) const {
    const bool even = spacing_ == spacing::even;
    double step = !even ? 1 : std::pow(10, std::floor(std::log10((to_ - from_) / most)));
    const auto fits = [&] {
      return std::floor(to_ / step + 1e-6) - std::ceil(from_ / step - 1e-6) < most;
    };
    for (int i = 0; !fits(); ++i) {
      step *= !even ? double(i + 2) / (i + 1) : i % 3 == 1 ? 2.5 : 2;
    }
    std::vector<double> values;
    const double end = std::floor(to_ / step + 1e-6);
    for (double k = std::ceil(from_ / step - 1e-6); k <= end; ++k) {
      values.push_back(even ? k * step + 0.0 : std::pow(10, k * step));
    }
    return values;
  }

 private:
  enum class spacing { even, logarithmic };

  axis(double from, double to, double first, double last, spacing s)
      : from_(from), to_(to), first_(first), last_(last), spacing_(s) {}

  double share(double value) const {
    const double v = spacing_ == spacing::even ? value : std::log10(std::max(value, 1e-300));
    return (v - from_) / (to_ - from_);
  }

  double from_, to_;  // of values, or of their logarithms
  double first_, last_;
  spacing spacing_;
};

// From one value to another, so high.
struct bar {
  double from = 0, to = 0, height = 0;
};
// From one value to another on both axes.
struct box {
  double left = 0, right = 0, bottom = 0, top = 0;
};

class drawing {
 public:
  drawing(double width, double height, std::string_view title)
      : text_("<svg viewBox=\"0 0 " + place(width) + " " + place(height) +
              "\" role=\"img\" aria-label=\"" + escaped(title) + "\">\n") {}

  std::string str() const { return text_ + "</svg>\n"; }

  void words(double x, double y, std::string_view content, std::string_view style) {
    text_ += "<text x=\"" + place(x) + "\" y=\"" + place(y) + "\"" + in(style) + ">" +
             escaped(content) + "</text>\n";
  }
  void path(const std::string& steps, std::string_view style) {
    if (!steps.empty()) text_ += "<path" + in(style) + " d=\"" + steps + "\"/>\n";
  }

  // One outline around bars that stand side by side; those without height leave a gap.
  void bars(const axis& x, const axis& y, std::span<const bar> all) {
    std::string steps;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!(all[i].height > 0)) continue;
      const bool joined = i > 0 && all[i - 1].height > 0;
      const bool ends = i + 1 == all.size() || !(all[i + 1].height > 0);
      if (!joined) steps += "M" + place(x(all[i].from)) + " " + place(y.first());
      steps += "V" + place(y(all[i].height)) + "H" + place(x(all[i].to));
      if (ends) steps += "V" + place(y.first()) + "Z";
    }
    path(steps, "bars");
  }
  void boxes(const axis& x, const axis& y, std::span<const box> all) {
    std::string steps;
    for (const box& b : all) {
      steps += "M" + place(x(b.left)) + " " + place(y(b.bottom)) + "V" + place(y(b.top)) + "H" +
               place(x(b.right)) + "V" + place(y(b.bottom)) + "Z";
    }
    path(steps, "bars");
  }
  // A vertical line at each value that the axis holds.
  void ticks(const axis& x, std::span<const float> values, double top, double bottom,
             std::string_view style) {
    std::string steps;
    for (const float value : values) {
      if (x.holds(double{value})) {
        steps += "M" + place(x(double{value})) + " " + place(top) + "V" + place(bottom);
      }
    }
    path(steps, style);
  }
  // A horizontal line at each value that the axis holds.
  void levels(const axis& y, std::span<const float> values, double left, double right,
              std::string_view style) {
    std::string steps;
    for (const float value : values) {
      if (y.holds(double{value})) {
        steps += "M" + place(left) + " " + place(y(double{value})) + "H" + place(right);
      }
    }
    path(steps, style);
  }

  void axis_below(const axis& x, double top) {
    std::string steps = "M" + place(x.first()) + " " + place(top) + "H" + place(x.last());
    for (const double value : x.ticks()) {
      steps += "M" + place(x(value)) + " " + place(top) + "v4";
      words(x(value), top + 15, label(value), "below");
    }
    path(steps, "axis");
  }
  // With lines across the drawing.
  void axis_at_left(const axis& y, double left, double right) {
    std::string steps;
    for (const double value : y.ticks()) {
      steps += "M" + place(left) + " " + place(y(value)) + "H" + place(right);
      words(left - 5, y(value) + 4, label(value), "left");
    }
    path(steps, "lines");
  }

 private:
  static std::string in(std::string_view style) { return " class=\"" + std::string(style) + "\""; }

  std::string text_;
};

}  // namespace demo::svg

#endif
