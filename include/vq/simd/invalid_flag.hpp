// Has a conversion of floats to integers met NaN, or a value that no integer holds? The CPU
// remembers: such a conversion raises the flag "invalid operation" of its thread, which stays raised.
// So a loop over ordinary values need not look at each of them.
//
//   const invalid_flag flag;
//   // ... convert and store ...
//   if (flag.raised()) { /* again, with care */ }
//
// Conversions stay between the two looks at the flag, since they depend on loads and stores that do.
// The flag is left raised if it was so before. Not every instruction set has such a flag.
#ifndef VQ_SIMD_INVALID_FLAG_HPP
#define VQ_SIMD_INVALID_FLAG_HPP

#include <cstdint>

#include <vq/core/config.hpp>

namespace vq::inline v1::simd {

#if defined(__x86_64__)

inline constexpr bool has_invalid_flag = true;

class invalid_flag {
 public:
  VQ_INLINE invalid_flag() noexcept : before_(state()) {
    if ((before_ & invalid) != 0) set_state(before_ & ~invalid);
  }
  VQ_INLINE ~invalid_flag() {
    if ((before_ & invalid) != 0) set_state(state() | invalid);
  }
  invalid_flag(const invalid_flag&) = delete;
  invalid_flag& operator=(const invalid_flag&) = delete;

  VQ_INLINE bool raised() const noexcept { return (state() & invalid) != 0; }

 private:
  static constexpr std::uint32_t invalid = 1;  // of MXCSR

  VQ_INLINE static std::uint32_t state() noexcept {
    std::uint32_t value;
    asm volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value;
  }
  VQ_INLINE static void set_state(std::uint32_t value) noexcept {
    asm volatile("ldmxcsr %0" : : "m"(value) : "memory");
  }

  std::uint32_t before_;
};

#else

inline constexpr bool has_invalid_flag = false;

struct invalid_flag {
  VQ_INLINE bool raised() const noexcept { return true; }
};

#endif

}  // namespace vq::inline v1::simd

#endif
