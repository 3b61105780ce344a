// Files for the tests of io/: a folder that goes away, and safetensors made by hand.
#ifndef VQ_TESTS_IO_FILES_HPP
#define VQ_TESTS_IO_FILES_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace files {

// A new empty folder, removed with everything in it.
class folder {
 public:
  folder() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    path_ = std::filesystem::temp_directory_path() / ("vq-test-io-" + std::to_string(now));
    std::filesystem::create_directory(path_);
  }
  folder(const folder&) = delete;
  ~folder() { std::filesystem::remove_all(path_); }

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      found.push_back(entry.path().filename().string());
    }
    return found;
  }

 private:
  std::filesystem::path path_;
};

inline void write(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary)
      .write(content.data(), static_cast<std::streamsize>(content.size()));
}
inline std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::string length_prefix(std::uint64_t length) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(length >> 8 * i & 255);
  return text;
}

// Length, header as given, and `data_bytes` zero bytes.
inline std::string safetensors(std::string_view header, std::size_t data_bytes = 0) {
  return length_prefix(header.size()) + std::string(header) + std::string(data_bytes, '\0');
}

inline std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace files

#endif
