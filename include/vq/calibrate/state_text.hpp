// The text that observers travel in: words and numbers between blanks and line ends.
//
//   vq minmax 1
//   seen bf800000 40400000
//
// The first line names the kind and the version of the format. Integers are decimal; floats and
// doubles are their IEEE-754 bits in hexadecimal, so nothing is rounded and no locale matters.
#ifndef VQ_CALIBRATE_STATE_TEXT_HPP
#define VQ_CALIBRATE_STATE_TEXT_HPP

#include <bit>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <vq/core/range.hpp>

namespace vq::inline v1 {

namespace detail {

template <class T>
using pattern_of =
    std::conditional_t<std::is_same_v<T, float>, std::uint32_t,
                       std::conditional_t<std::is_same_v<T, double>, std::uint64_t, T>>;
template <class T>
inline constexpr int base_of = std::is_floating_point_v<T> ? 16 : 10;

}  // namespace detail

class state_writer {
 public:
  explicit state_writer(std::string_view kind) : text_("vq ") { text_.append(kind).append(" 1"); }

  // Starts a line.
  state_writer& key(std::string_view word) {
    text_.append(1, '\n').append(word);
    return *this;
  }
  template <class T>
    requires std::integral<T> || std::floating_point<T>
  state_writer& number(T value) {
    using bits = detail::pattern_of<T>;
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, std::bit_cast<bits>(value),
                                   detail::base_of<T>);
    text_.append(1, ' ').append(digits, end.ptr);
    return *this;
  }
  state_writer& numbers(range r) { return number(r.lowest).number(r.highest); }

  // Another observer's text, as part of this one's.
  state_writer& nested(std::string_view text) {
    text_.append(1, '\n').append(text);
    if (text_.back() == '\n') text_.pop_back();
    return *this;
  }

  std::string text() const { return text_ + '\n'; }

 private:
  std::string text_;
};

// Reads what state_writer wrote. After the first thing that does not fit every answer is zero and
// good() is false, so that a caller checks once.
class state_reader {
 public:
  state_reader(std::string_view text, std::string_view kind) : rest_(text) {
    key("vq").key(kind).key("1");
  }

  state_reader& key(std::string_view expected) {
    good_ = good_ && word() == expected;
    return *this;
  }
  template <class T>
    requires std::integral<T> || std::floating_point<T>
  T number() {
    using bits = detail::pattern_of<T>;
    const std::string_view digits = good_ ? word() : std::string_view();
    bits value{};
    const char* const end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, value, detail::base_of<T>);
    good_ = good_ && !digits.empty() && parsed.ec == std::errc() && parsed.ptr == end;
    return std::bit_cast<T>(good_ ? value : bits{});
  }
  range numbers() {
    const auto lowest = number<float>();
    return {lowest, number<float>()};
  }

  bool good() const { return good_; }
  // Everything fitted and nothing is left.
  bool finished() { return good_ && word().empty(); }

 private:
  std::string_view word() {
    constexpr std::string_view blanks = " \t\r\n";
    const auto begin = rest_.find_first_not_of(blanks);
    rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
    const std::string_view found = rest_.substr(0, rest_.find_first_of(blanks));
    rest_.remove_prefix(found.size());
    return found;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace vq::inline v1

#endif
