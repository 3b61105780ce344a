// Kernels for one instruction set, as a unit of a program with several would instantiate them.
// symbols.cmake looks at the functions that other units could share with this one.
#include <cstdint>

#include <vq/nn.hpp>
#include <vq/quant.hpp>
#include <vq/simd.hpp>

using wide = vq::simd::on<vq::simd::avx2>;
using int8 = vq::uniform<8>;
using uint4 = vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>;

template struct vq::kernel<vq::find_range, wide>;
template struct vq::kernel<vq::find_absmax, wide>;
template struct vq::kernel<vq::encode_strip<int8, vq::bytes>, wide>;
template struct vq::kernel<vq::decode_strip<int8, vq::bytes>, wide>;
template struct vq::kernel<vq::encode_strip<uint4, vq::nibbles_high_first>, wide>;
template struct vq::kernel<vq::decode_strip<uint4, vq::nibbles_high_first>, wide>;
template struct vq::kernel<vq::decode_strip<uint4, vq::nibbles_high_first, vq::half>, wide>;
template struct vq::kernel<vq::encode_strip<vq::nf4, vq::nibbles_low_first>, wide>;
template struct vq::kernel<vq::fit_encode_strip<vq::nf4, vq::nibbles_high_first>, wide>;
template struct vq::kernel<vq::decode_strip<vq::nf4, vq::nibbles_high_first, vq::bfloat16>, wide>;
template struct vq::kernel<vq::fake_quantize_strip<int8>, wide>;
template struct vq::kernel<vq::multiply_panel<std::int8_t>, wide>;
template struct vq::kernel<vq::multiply_panel<std::int8_t, vq::to_codes<std::int8_t>>, wide>;
template struct vq::kernel<vq::multiply_taps<std::int8_t>, wide>;
template struct vq::kernel<vq::multiply_taps<std::int8_t, vq::to_codes<std::int8_t>>, wide>;
template struct vq::kernel<vq::copy_codes<std::int8_t, std::uint8_t>, wide>;
template struct vq::kernel<vq::add_codes<std::int8_t, std::int8_t, std::int8_t>, wide>;
template struct vq::kernel<vq::multiply_weights<float>, wide>;
template struct vq::kernel<vq::multiply_weights<vq::bfloat16>, wide>;
template struct vq::kernel<vq::multiply_weights<std::int8_t>, wide>;
template struct vq::kernel<vq::requantize_tile<vq::to_codes<std::int8_t>>, wide>;
template struct vq::kernel<vq::requantize_tile<vq::to_codes_adding<std::int8_t>>, wide>;
template struct vq::kernel<vq::requantize_tile<vq::to_float_by_row>, wide>;
