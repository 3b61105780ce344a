// Weights in any format of the library, in safetensors: our own layout.
//
// The weight P of any shape is a matrix of shape[0] rows. A file holds
//
//   P.codes           I8, U8, I16, U16   the codes as the storage lays them: the shape of P with one
//                                        code per element, otherwise [bytes]
//   P.scales          F32 [parameters]   or U8 where they are quantized themselves
//   P.zero_points     I32 [parameters]   only of asymmetric formats
//   P.params          U8 [parameters, bytes]    instead of both, for parameters of another type
//   P.levels          F32 [2^bits]       only of codebooks
//   P.nested_scales   F32 [groups], P.nested_levels F32 [256], P.nested_offset F32 [1]
//                                        only where scales are quantized: scale =
//                                        nested_levels[code] * nested_scales[group] + nested_offset
//   P.quantizer       U8 [length]        the JSON of quantizer_description.hpp
//
// quantized_weight.hpp writes them, quantized_weight_view.hpp reads them.
#ifndef VQ_IO_QUANTIZED_CHECKPOINT_HPP
#define VQ_IO_QUANTIZED_CHECKPOINT_HPP

#include <vq/io/quantized_weight.hpp>
#include <vq/io/quantized_weight_view.hpp>

#endif
