// Front door of the file formats: safetensors, and the calibration files that other tools load.
//
// Needs nlohmann/json (CMake: vq::json). Everything returns result<T, failure>: a value, or a
// status with a sentence that names file, tensor and rule. Files are written under a temporary name
// first.
#ifndef VQ_IO_HPP
#define VQ_IO_HPP

#include <vq/io/atomic_file.hpp>
#include <vq/io/bitsandbytes.hpp>
#include <vq/io/calibration_table.hpp>
#include <vq/io/checkpoint.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/json_file.hpp>
#include <vq/io/mapped_file.hpp>
#include <vq/io/quantized_checkpoint.hpp>
#include <vq/io/safetensors.hpp>
#include <vq/io/shard_index.hpp>
#include <vq/io/stored_floats.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/io/tensorrt_cache.hpp>

#endif
