// Sizes in bytes as people write and read them. GB is 10^9 bytes and GiB 2^30, 7 % more; a number
// without saying which is the usual mistake, so both are shown.
//
//   vq::parse_byte_size("16GB")          // 16'000'000'000
//   vq::spelled_bytes(16'000'000'000)    // "16.000 GB (14.901 GiB)"
#ifndef VQ_PLAN_BYTE_SIZE_HPP
#define VQ_PLAN_BYTE_SIZE_HPP

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

inline constexpr double bytes_per_gb = 1e9;
inline constexpr double bytes_per_gib = 1024.0 * 1024 * 1024;

inline std::string spelled_number(double value, int digits) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::fixed, digits);
  return end.ec == std::errc{} ? std::string(text.data(), end.ptr) : "?";
}

// Three digits behind the point, from 10 MB down to the kilobyte in MB.
inline std::string spelled_bytes(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e7) {
    return sentence(spelled_number(value / 1e6, 3), " MB (",
                    spelled_number(value / (1024 * 1024), 3), " MiB)");
  }
  return sentence(spelled_number(value / bytes_per_gb, 3), " GB (",
                  spelled_number(value / bytes_per_gib, 3), " GiB)");
}

// A number above zero and a unit: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB. Errors: bad_argument.
inline result<std::uint64_t, failure> parse_byte_size(std::string_view text) {
  constexpr std::pair<std::string_view, double> units[] = {{"B", 1},
                                                           {"kB", 1e3},
                                                           {"KB", 1e3},
                                                           {"MB", 1e6},
                                                           {"GB", 1e9},
                                                           {"TB", 1e12},
                                                           {"KiB", 1024},
                                                           {"MiB", 1024 * 1024},
                                                           {"GiB", bytes_per_gib},
                                                           {"TiB", 1024 * bytes_per_gib}};
  double value = 0;
  const auto number = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit(number.ptr,
                        static_cast<std::size_t>(text.data() + text.size() - number.ptr));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const auto& [name, factor] : units) {
    if (number.ec != std::errc{} || name != unit) continue;
    const double bytes = value * factor;
    if (bytes >= 1 && bytes < 1e18) return static_cast<std::uint64_t>(bytes);
  }
  return failure{status::bad_argument,
                 sentence("the size ", in_quotes(text),
                          " is not understood; write a number and B, kB, MB, GB, TB (powers of "
                          "1000), KiB, MiB, GiB or TiB (powers of 1024): 16GB")};
}

}  // namespace vq::inline v1

#endif
