// expect: per_channel: the axis is outside the tensor's rank
#include <vq/quant.hpp>

constexpr vq::quantizer<vq::uniform<8>, vq::per_channel<2>> q;
constexpr auto need = q.required(vq::shape_type<2>{8, 8});
