// Convolutions whose output lies channels last, with gaps or planar: every instruction set makes of
// the sums what the definition of the stage says.
#include <vq/simd.hpp>

#include "catch.hpp"
#include "nn/stages.hpp"

TEST_CASE("output stages: what they say on registers, with a residual or without", "[simd]") {
  stages::all(vq::simd::native, 71, random_cases(150));
}
