// expect: tensor_view: the rank must be from 1 to 6
#include <vq/quant.hpp>

constexpr vq::tensor_view<const float, 7> view{nullptr, {1, 1, 1, 1, 1, 1, 1}};
