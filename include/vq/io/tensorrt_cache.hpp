// The calibration cache of TensorRT 5.1 to 10 (text; implicit quantization ended with TensorRT 11).
//
//   TRT-8602-EntropyCalibration2        version and algorithm
//   input: 3c010204                     name, colon, space, scale
//
// The scale is absmax / 127, written as the eight hexadecimal digits of its float bits: absmax 1.0
// is 3c010204. (Files that hold the range or 127 / absmax load silently and give garbage.) Names
// may contain ": "; the last one separates. A builder takes the cache only if the algorithm is
// that of its calibrator; tensors that are missing run in a higher precision.
#ifndef VQ_IO_TENSORRT_CACHE_HPP
#define VQ_IO_TENSORRT_CACHE_HPP

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <vq/core/result.hpp>
#include <vq/io/atomic_file.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/mapped_file.hpp>

namespace vq::inline v1 {

enum class tensorrt_algorithm { entropy_2, entropy, min_max, legacy };

inline constexpr std::pair<tensorrt_algorithm, std::string_view> tensorrt_algorithms[] = {
    {tensorrt_algorithm::entropy_2, "EntropyCalibration2"},
    {tensorrt_algorithm::entropy, "EntropyCalibration"},
    {tensorrt_algorithm::min_max, "MinMaxCalibration"},
    {tensorrt_algorithm::legacy, "LegacyCalibration"},
};

// The number in the header: 8.6.2 is 8602, 10.3.0 is 100300.
constexpr int tensorrt_version(int major, int minor, int patch) noexcept {
  return major * (major < 10 ? 1000 : 10000) + minor * 100 + patch;
}

struct tensorrt_cache {
  int version = tensorrt_version(8, 6, 1);
  tensorrt_algorithm algorithm = tensorrt_algorithm::entropy_2;
  std::map<std::string, float> scales{};  // of tensors, by the name in the optimized network

  void set_absmax(std::string tensor, float absmax) {
    scales.insert_or_assign(std::move(tensor), absmax / 127.f);
  }
};

// The rule that a scale breaks, or null.
inline const char* wrong_tensorrt_scale(float scale) noexcept {
  if (!(scale > 0)) return "the scale must be above zero";
  if (scale > (std::numeric_limits<float>::max)()) return "the scale is infinite";
  return nullptr;
}

inline const char* wrong_tensorrt_version(int version) noexcept {
  return version >= 1 && version < tensorrt_version(11, 0, 0)
             ? nullptr
             : "the version must be one of TensorRT 10 or older";
}

// The text of a cache, sorted by name; `file` is its name for messages.
// Errors: bad_argument (the version; a name with a line break or without a character; a scale that
// is zero, negative or not finite).
inline result<std::string, failure> format_tensorrt_cache(const tensorrt_cache& cache,
                                                          std::string_view file) {
  if (const char* rule = wrong_tensorrt_version(cache.version)) {
    return failure{status::bad_argument, sentence(file, ": header: ", rule)};
  }
  const auto* algorithm =
      std::find_if(std::begin(tensorrt_algorithms), std::end(tensorrt_algorithms),
                   [&cache](const auto& known) { return known.first == cache.algorithm; });
  std::string text = sentence("TRT-", cache.version, "-", algorithm->second, "\n");
  for (const auto& [name, scale] : cache.scales) {
    const char* rule = name.empty() ? "the name is empty"
                       : name.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos
                           ? "the name contains a line break or NUL"
                           : wrong_tensorrt_scale(scale);
    if (rule != nullptr) {
      return failure{status::bad_argument,
                     sentence(file, ": tensor ", in_quotes(name), ": ", rule)};
    }
    char digits[8];
    const auto end = std::to_chars(digits, digits + 8, std::bit_cast<std::uint32_t>(scale), 16).ptr;
    const auto count = static_cast<std::size_t>(end - digits);
    text +=
        sentence(name, ": ", std::string(8 - count, '0'), std::string_view(digits, count), "\n");
  }
  return text;
}

// Accepts CRLF, one to eight digits in either case, and a missing line end at the end.
// Errors: bad_format.
inline result<tensorrt_cache, failure> parse_tensorrt_cache(std::string_view text,
                                                            std::string_view file) {
  std::size_t line_number = 0;
  const auto next_line = [&text, &line_number] {
    ++line_number;
    const std::size_t end = (std::min)(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix((std::min)(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  };
  const auto refuse = [&](auto... rule) {
    return failure{status::bad_format, sentence(file, ": line ", line_number, ": ", rule...)};
  };

  tensorrt_cache cache;
  const std::string_view header = next_line();
  const std::size_t dash = header.rfind('-');
  if (!header.starts_with("TRT-") || dash < 4) {
    return refuse("the header must be TRT-<version>-<algorithm>");
  }
  const std::string_view version = header.substr(4, dash - 4);
  const auto parsed =
      std::from_chars(version.data(), version.data() + version.size(), cache.version);
  if (version.empty() || parsed.ec != std::errc() ||
      parsed.ptr != version.data() + version.size()) {
    return refuse("header: the version ", in_quotes(version), " is not a number");
  }
  if (const char* rule = wrong_tensorrt_version(cache.version)) return refuse("header: ", rule);
  const std::string_view wanted = header.substr(dash + 1);
  const auto* algorithm =
      std::find_if(std::begin(tensorrt_algorithms), std::end(tensorrt_algorithms),
                   [wanted](const auto& known) { return known.second == wanted; });
  if (algorithm == std::end(tensorrt_algorithms)) {
    return refuse("header: unknown algorithm ", in_quotes(wanted));
  }
  cache.algorithm = algorithm->first;

  while (!text.empty()) {
    const std::string_view line = next_line();
    if (line.empty()) continue;
    const std::size_t separator = line.rfind(": ");
    if (separator == std::string_view::npos || separator == 0) {
      return refuse("must be <name>: <hexadecimal digits>");
    }
    const std::string name(line.substr(0, separator));
    const std::string_view digits = line.substr(separator + 2);
    const auto refuse_tensor = [&](std::string_view rule) {
      return refuse("tensor ", in_quotes(name), ": ", rule);
    };
    std::uint32_t bits = 0;
    const auto number = std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
    if (digits.empty() || digits.size() > 8 || number.ec != std::errc() ||
        number.ptr != digits.data() + digits.size()) {
      return refuse_tensor(
          sentence("the scale ", in_quotes(digits), " is not one to eight hexadecimal digits"));
    }
    const auto scale = std::bit_cast<float>(bits);
    if (const char* rule = wrong_tensorrt_scale(scale)) return refuse_tensor(rule);
    if (!cache.scales.emplace(name, scale).second) return refuse_tensor("the name occurs twice");
  }
  return cache;
}

// Returns the size of the file. Errors: those of format_tensorrt_cache, io_error.
inline result<std::uint64_t, failure> write_tensorrt_cache(const std::filesystem::path& path,
                                                           const tensorrt_cache& cache) {
  const auto text = format_tensorrt_cache(cache, path.string());
  if (!text) return text.error();
  return write_file(path, *text);
}

// Errors: those of mapped_file::open, bad_format.
inline result<tensorrt_cache, failure> read_tensorrt_cache(const std::filesystem::path& path) {
  const auto file = mapped_file::open(path, {.access = file_access::read});
  if (!file) return file.error();
  return parse_tensorrt_cache(as_text(file->bytes()), path.string());
}

}  // namespace vq::inline v1

#endif
