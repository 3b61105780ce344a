// Checks of the golden family float_formats that several formats share.
#ifndef VQ_TESTS_GOLDEN_FLOAT_FORMATS_HPP
#define VQ_TESTS_GOLDEN_FLOAT_FORMATS_HPP

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "golden/golden.hpp"

namespace golden {

// The only case of this name in the family.
inline test_case float_format_case(const std::string& name) {
  for (const test_case& c : cases("float_formats")) {
    if (c.name() == name) return c;
  }
  throw std::runtime_error("golden float_formats: no case " + name);
}

// Three checksums over floats as little-endian words, with every NaN replaced by 0x7fc00000.
class checksums {
 public:
  void add(float value) {
    const std::uint32_t word = value != value ? 0x7fc00000u : std::bit_cast<std::uint32_t>(value);
    sum_ += word;
    for (int shift = 0; shift < 32; shift += 8) {
      const std::uint32_t byte = word >> shift & 255;
      fnv_ = (fnv_ ^ byte) * 0x100000001b3u;
      crc_ ^= byte;
      for (int bit = 0; bit < 8; ++bit) crc_ = crc_ >> 1 ^ (crc_ % 2 != 0 ? 0xedb88320u : 0);
    }
  }
  std::uint32_t crc32() const { return ~crc_; }
  std::string fnv1a64_hex() const { return hex(fnv_); }
  std::string sum64_hex() const { return hex(sum_); }

 private:
  static std::string hex(std::uint64_t x) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(x));
    return text;
  }
  std::uint32_t crc_ = ~0u;
  std::uint64_t fnv_ = 0xcbf29ce484222325u, sum_ = 0;
};

// Values of samples, and checksums over all 2^bits patterns where the case has them.
template <class ToFloat>
void check_to_float(const std::string& format, int bits, ToFloat to_float) {
  const test_case c = float_format_case(format + "/to_f32/all");
  const std::uint32_t all = 1u << bits;
  std::vector<float> values;
  for (const auto pattern : c.input<std::int32_t>("patterns").data) {
    values.push_back(to_float(static_cast<std::uint32_t>(pattern) & (all - 1)));
  }
  check(c, "values", values);
  if (!c.params().contains("crc32")) return;
  checksums sums;
  for (std::uint32_t pattern = 0; pattern < all; ++pattern) sums.add(to_float(pattern));
  CAPTURE(format);
  CHECK(sums.crc32() == c.params().at("crc32").get<std::uint32_t>());
  CHECK(sums.fnv1a64_hex() == c.params().at("fnv1a64_hex").get<std::string>());
  CHECK(sums.sum64_hex() == c.params().at("sum64_hex").get<std::string>());
}

// Patterns of the inputs; where a NaN is wanted, any NaN of the format is right. Input is the type
// of the numbers: float or double.
template <class Input, class FromNumber, class ToFloat>
void check_from_number(const std::string& name, const std::string& role, int bits,
                       FromNumber from_number, ToFloat to_float) {
  const test_case c = float_format_case(name);
  const auto x = c.input<Input>("x").data;
  const auto want = c.output<std::int32_t>(role).data;  // 16-bit patterns are stored signed
  const std::uint32_t mask = (1u << bits) - 1;
  std::vector<std::int32_t> got;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint32_t pattern = from_number(x[i]);
    const auto wanted = static_cast<std::uint32_t>(want.at(i)) & mask;
    const bool nans = std::isnan(to_float(pattern)) && std::isnan(to_float(wanted));
    got.push_back(nans || pattern == wanted ? want[i] : static_cast<std::int32_t>(pattern));
  }
  check(c, role, got);
}

}  // namespace golden

#endif
