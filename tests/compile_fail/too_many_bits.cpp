// expect: uniform: bits must be 2 to 8, or 16
#include <vq/quant.hpp>

constexpr vq::uniform<9> policy;
