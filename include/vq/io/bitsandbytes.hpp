// Quantized weights as bitsandbytes, and with it transformers and vLLM, store them.
//
// four_bit.hpp: NF4 and FP4 in blocks of 32 to 4096, with plain or quantized scales.
// llm_int8.hpp: 8 bits with one scale per row. quant_state.hpp: the JSON beside 4-bit weights.
#ifndef VQ_IO_BITSANDBYTES_HPP
#define VQ_IO_BITSANDBYTES_HPP

#include <vq/io/four_bit.hpp>
#include <vq/io/llm_int8.hpp>
#include <vq/io/quant_state.hpp>

#endif
