// The search behind allocate_bits (bit_allocation.hpp): reduced costs of a Lagrangian, then dynamic
// programming over partial choices.
#ifndef VQ_PLAN_ALLOCATION_SEARCH_HPP
#define VQ_PLAN_ALLOCATION_SEARCH_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

struct bit_option {
  double cost = 0;         // how much it hurts, in any unit that adds up over layers
  std::int64_t bytes = 0;  // not negative
  double time = 0;         // not negative, in any unit
};

using layer_options = std::vector<bit_option>;

struct allocation_limits {
  std::int64_t bytes = (std::numeric_limits<std::int64_t>::max)();
  double time = std::numeric_limits<double>::infinity();
  std::size_t partial_choices = 50'000;  // kept after each layer: 8 bytes each
};

struct bit_allocation {
  std::vector<index_type> choice;  // an option of each layer
  double cost = 0;
  std::int64_t bytes = 0;
  double time = 0;
  double bound = 0;      // no choice costs less
  bool optimal = false;  // proven: cost == bound, up to rounding
};

namespace detail {

class allocation_search {
 public:
  allocation_search(std::span<const layer_options> layers, const allocation_limits& limits)
      : layers_(layers), limits_(limits) {
    double largest = 0;
    for (const layer_options& layer : layers_) {
      double most = 0;
      for (const bit_option& o : layer) most = (std::max)(most, std::abs(o.cost));
      largest += most;
    }
    rounding_ = 1e-12 * largest;
  }

  // Sets multipliers and bound.
  void price() {
    const double most = steepest();
    const auto over_bytes = [&](double bytes_price, double time_price) {
      return priced(bytes_price, time_price).bytes > limits_.bytes;
    };
    const auto cheapest_bytes_price = [&](double time_price) {
      return smallest_where_not(most, [&](double p) { return over_bytes(p, time_price); });
    };
    if (limits_.time < std::numeric_limits<double>::infinity()) {
      time_price_ = smallest_where_not(
          most, [&](double p) { return priced(cheapest_bytes_price(p), p).time > limits_.time; });
    }
    bytes_price_ = cheapest_bytes_price(time_price_);
    order_.resize(layers_.size());
    least_.resize(layers_.size());
    double sum = 0;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      least_[i] = price_of(layers_[i][least_price(i, bytes_price_, time_price_)]);
      sum += least_[i];
    }
    bound_ = sum - paid_for_limits();
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }

  // Dynamic programming with at most `cap` partial choices after each layer; improves `best` and
  // returns whether nothing was dropped for the cap.
  bool improve(std::size_t cap, bit_allocation& best, bool& found) const {
    struct step {
      std::uint32_t before, option;
    };
    std::vector<partial> states{{}}, next, extended, merged;
    std::vector<std::vector<step>> history;
    const auto bytes_left = suffix_least<std::int64_t>([](const bit_option& o) { return o.bytes; });
    const auto time_left = suffix_least<double>([](const bit_option& o) { return o.time; });
    bool complete = true;
    for (std::size_t at = 0; at < layers_.size(); ++at) {
      const std::size_t i = order_[at];
      const double gap =
          found ? best.cost - bound_ - rounding_ : std::numeric_limits<double>::infinity();
      next.clear();
      // States are sorted, and so is what one option makes of them: options are merged in turn.
      for (std::uint32_t k = 0; k < layers_[i].size(); ++k) {
        const bit_option& o = layers_[i][k];
        const double excess = price_of(o) - least_[i];
        if (excess >= gap) continue;
        extended.clear();
        for (std::uint32_t before = 0; before < states.size(); ++before) {
          partial s = states[before];
          s.bytes += o.bytes;
          s.time += o.time;
          s.cost += o.cost;
          s.excess += excess;
          s.before = before;
          s.option = k;
          if (s.excess < gap && s.bytes <= limits_.bytes - bytes_left[at + 1] &&
              s.time <= limits_.time - time_left[at + 1]) {
            extended.push_back(s);
          }
        }
        merged.resize(next.size() + extended.size());
        std::merge(next.begin(), next.end(), extended.begin(), extended.end(), merged.begin(),
                   comes_first);
        keep_undominated(merged);
        std::swap(next, merged);
      }
      if (next.size() > cap) {
        complete = false;
        std::nth_element(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(cap), next.end(),
                         [](const partial& a, const partial& b) { return a.excess < b.excess; });
        next.resize(cap);
        std::sort(next.begin(), next.end(), comes_first);
      }
      history.emplace_back();
      history.back().reserve(next.size());
      for (const partial& s : next) history.back().push_back({s.before, s.option});
      std::swap(states, next);
    }
    const auto least =
        std::min_element(states.begin(), states.end(), [](const auto& a, const auto& b) {
          return a.cost < b.cost || (a.cost == b.cost && a.bytes < b.bytes);
        });
    if (least == states.end() || (found && least->cost >= best.cost)) return complete;
    found = true;
    best.cost = least->cost;
    best.bytes = least->bytes;
    best.time = least->time;
    best.choice.assign(layers_.size(), 0);
    auto state = static_cast<std::uint32_t>(least - states.begin());
    for (std::size_t at = layers_.size(); at-- > 0;) {
      const step s = history[at][state];
      best.choice[order_[at]] = static_cast<index_type>(s.option);
      state = s.before;
    }
    return complete;
  }

  // Layers in which something is left to choose come last, so that few partial choices are carried
  // through the others.
  void order_by_freedom() {
    std::vector<double> freedom(layers_.size(), std::numeric_limits<double>::infinity());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::size_t least = least_price(i, bytes_price_, time_price_);
      for (std::size_t k = 0; k < layers_[i].size(); ++k) {
        if (k != least) freedom[i] = (std::min)(freedom[i], price_of(layers_[i][k]) - least_[i]);
      }
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return freedom[a] > freedom[b]; });
  }

  double bound() const { return bound_; }
  double rounding() const { return rounding_; }

 private:
  struct partial {
    std::int64_t bytes = 0;
    double time = 0, cost = 0;
    double excess = 0;  // of prices above the least
    std::uint32_t before = 0, option = 0;
  };
  static bool comes_first(const partial& a, const partial& b) {
    if (a.bytes != b.bytes) return a.bytes < b.bytes;
    return a.cost != b.cost ? a.cost < b.cost : a.time < b.time;
  }

  double price_of(const bit_option& o) const {
    return o.cost + bytes_price_ * static_cast<double>(o.bytes) + time_price_ * o.time;
  }
  double paid_for_limits() const {
    double paid = 0;
    if (bytes_price_ > 0) paid += bytes_price_ * static_cast<double>(limits_.bytes);
    if (time_price_ > 0) paid += time_price_ * limits_.time;
    return paid;
  }

  std::size_t least_price(std::size_t i, double bytes_price, double time_price) const {
    const auto price = [&](const bit_option& o) {
      return o.cost + bytes_price * static_cast<double>(o.bytes) + time_price * o.time;
    };
    std::size_t least = 0;
    for (std::size_t k = 1; k < layers_[i].size(); ++k) {
      const double a = price(layers_[i][k]), b = price(layers_[i][least]);
      if (a < b || (a == b && layers_[i][k].bytes < layers_[i][least].bytes)) least = k;
    }
    return least;
  }
  bit_option priced(double bytes_price, double time_price) const {
    bit_option sum;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const bit_option& o = layers_[i][least_price(i, bytes_price, time_price)];
      sum.bytes += o.bytes;
      sum.time += o.time;
    }
    return sum;
  }

  // A price at which every layer takes its smallest option.
  double steepest() const {
    double most = 1;
    for (const layer_options& layer : layers_) {
      for (const bit_option& a : layer) {
        for (const bit_option& b : layer) {
          const double saved = a.cost < b.cost ? b.cost - a.cost : 0;
          if (a.bytes > b.bytes)
            most = (std::max)(most, saved / static_cast<double>(a.bytes - b.bytes));
          if (a.time > b.time) most = (std::max)(most, saved / (a.time - b.time));
        }
      }
    }
    return 2 * most;
  }
  // By bisection; `most` where even that is too little.
  template <class TooSmall>
  static double smallest_where_not(double most, TooSmall too_small) {
    if (!too_small(0)) return 0;
    double low = 0, high = most;
    for (int i = 0; i < 100 && high - low > 1e-15 * high; ++i) {
      const double middle = low + (high - low) / 2;
      (too_small(middle) ? low : high) = middle;
    }
    return high;
  }

  // Of the layers from `at` on, in order: the least that they take.
  template <class T, class F>
  std::vector<T> suffix_least(F of) const {
    std::vector<T> left(layers_.size() + 1);
    for (std::size_t at = layers_.size(); at-- > 0;) {
      auto least = of(layers_[order_[at]].front());
      for (const bit_option& o : layers_[order_[at]]) least = (std::min)(least, of(o));
      left[at] = left[at + 1] + least;
    }
    return left;
  }

  // Of sorted states, drops what costs and takes no less than another.
  void keep_undominated(std::vector<partial>& states) const {
    std::size_t kept = 0;
    if (!(limits_.time < std::numeric_limits<double>::infinity())) {
      for (const partial& s : states) {
        if (kept == 0 || s.cost < states[kept - 1].cost) states[kept++] = s;
      }
    } else {
      std::map<double, double> front;  // cost -> least time; times fall where costs rise
      for (const partial& s : states) {
        auto after = front.upper_bound(s.cost);
        if (after != front.begin() && std::prev(after)->second <= s.time) continue;
        while (after != front.end() && after->second >= s.time) after = front.erase(after);
        front.insert_or_assign(s.cost, s.time);
        states[kept++] = s;
      }
    }
    states.resize(kept);
  }

  std::span<const layer_options> layers_;
  allocation_limits limits_;
  double bytes_price_ = 0, time_price_ = 0, bound_ = 0, rounding_ = 0;
  std::vector<double> least_;       // price of each layer's cheapest option
  std::vector<std::size_t> order_;  // of the layers in the search
};

}  // namespace detail

}  // namespace vq::inline v1

#endif
