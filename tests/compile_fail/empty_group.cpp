// expect: per_group: a group has at least one value
#include <vq/quant.hpp>

constexpr vq::slices cut = vq::per_group<0>::cut(vq::shape_type<2>{8, 8});
