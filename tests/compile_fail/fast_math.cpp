// expect: vq: -ffast-math removes rounding to even
#define __FAST_MATH__ 1  // what -ffast-math defines
#include <vq/quant.hpp>
