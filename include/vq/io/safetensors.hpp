// The safetensors container: named tensors in one file, read without copying.
//
//   8 bytes: length N of the header, little-endian | N bytes: JSON | the values, without gaps
//   {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [..], "data_offsets": [b, e]}}
//
// safetensors_reader.hpp opens files (memory-mapped, checked completely before the first use),
// safetensors_writer.hpp writes what is at hand, safetensors_stream.hpp what is made tensor by
// tensor. Format: https://github.com/huggingface/safetensors.
#ifndef VQ_IO_SAFETENSORS_HPP
#define VQ_IO_SAFETENSORS_HPP

#include <vq/io/safetensors_reader.hpp>
#include <vq/io/safetensors_stream.hpp>
#include <vq/io/safetensors_writer.hpp>

#endif
