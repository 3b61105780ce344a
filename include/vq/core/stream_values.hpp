// Results that are larger than the caches: written around them.
//
// A store to memory that is in no cache first reads the line it will overwrite. Streaming stores
// do not, so writing takes half the traffic, but the values are then nowhere near: right for a
// tensor that the caches could not hold anyway.
#ifndef VQ_CORE_STREAM_VALUES_HPP
#define VQ_CORE_STREAM_VALUES_HPP

#include <vq/core/config.hpp>

namespace vq::inline v1 {

// Results from this size on are streamed: more than most machines keep for one program.
inline constexpr index_type streamed_bytes = index_type{64} << 20;

// Copies values out of a small buffer. With `last`, they and those of all calls before are visible
// to other threads when it returns.
template <class T>
struct stream_values {
  constexpr void operator()(const T* from, T* to, index_type count, bool /*last*/) const noexcept {
    for (index_type i = 0; i < count; ++i) to[i] = from[i];
  }
};

}  // namespace vq::inline v1

#endif
