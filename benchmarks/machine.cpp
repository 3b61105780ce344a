// The machine itself: peaks of the multiply-adds, and streams by size and shape.
#include "limits.hpp"
#include "support.hpp"

namespace {

const bool registered = [] {
  for (const int threads : {1, 2}) {
    vqb::limit_peak("peak", "int8", vqb::peak::int8, threads);
    vqb::limit_peak("peak", "bf16", vqb::peak::bf16, threads);
    vqb::limit_peak("peak", "f32", vqb::peak::f32, threads);
    vqb::limit_stream("read", 4, 0, vqb::bytes, threads);
    vqb::limit_stream("write", 0, 4, vqb::bytes, threads);
    vqb::limit_stream("copy", 4, 4, vqb::bytes, threads);
  }
  return true;
}();

}  // namespace
