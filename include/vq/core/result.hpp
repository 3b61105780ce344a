// A value or the reason why there is none. Member names are those of std::expected.
//
//   if (auto weights = load(path)) use(*weights); else report(describe(weights.error()));
//
// E is `status` in the library proper; the file formats use an error that also carries a sentence.
#ifndef VQ_CORE_RESULT_HPP
#define VQ_CORE_RESULT_HPP

#include <new>
#include <type_traits>
#include <utility>

#include <vq/core/config.hpp>
#include <vq/core/status.hpp>

namespace vq::inline v1 {

template <class T, class E = status>
class [[nodiscard]] result {
  static constexpr bool both_trivial =
      std::is_trivially_copyable_v<T> && std::is_trivially_copyable_v<E>;

 public:
  using value_type = T;
  using error_type = E;

  constexpr result(const T& value) : value_(value), has_value_(true) {}
  constexpr result(T&& value) noexcept : value_(std::move(value)), has_value_(true) {}
  constexpr result(const E& error) : error_(error), has_value_(false) {}
  constexpr result(E&& error) noexcept : error_(std::move(error)), has_value_(false) {}

  // Trivial where both alternatives are (and then usable in constant expressions).
  constexpr result(const result&)
    requires both_trivial
  = default;
  constexpr result(result&&)
    requires both_trivial
  = default;
  constexpr ~result()
    requires both_trivial
  = default;

  result(const result& other) : nothing_{}, has_value_(other.has_value_) {
    has_value_ ? place(&value_, other.value_) : place(&error_, other.error_);
  }
  result(result&& other) noexcept : nothing_{}, has_value_(other.has_value_) {
    has_value_ ? place(&value_, std::move(other.value_)) : place(&error_, std::move(other.error_));
  }
  ~result() { has_value_ ? value_.~T() : error_.~E(); }
  result& operator=(const result&) = delete;

  constexpr bool has_value() const noexcept { return has_value_; }
  constexpr explicit operator bool() const noexcept { return has_value_; }

  constexpr T& value() & noexcept {
    VQ_ASSERT(has_value_);
    return value_;
  }
  constexpr const T& value() const& noexcept {
    VQ_ASSERT(has_value_);
    return value_;
  }
  constexpr T&& value() && noexcept {
    VQ_ASSERT(has_value_);
    return std::move(value_);
  }
  constexpr T& operator*() & noexcept { return value(); }
  constexpr const T& operator*() const& noexcept { return value(); }
  constexpr T&& operator*() && noexcept { return std::move(*this).value(); }
  constexpr T* operator->() noexcept { return &value(); }
  constexpr const T* operator->() const noexcept { return &value(); }

  constexpr const E& error() const noexcept {
    VQ_ASSERT(!has_value_);
    return error_;
  }

 private:
  struct nothing {};

  template <class U, class V>
  static void place(U* at, V&& value) {
    ::new (static_cast<void*>(at)) U(std::forward<V>(value));
  }

  union {
    nothing nothing_;
    T value_;
    E error_;
  };
  bool has_value_;
};

}  // namespace vq::inline v1

#endif
