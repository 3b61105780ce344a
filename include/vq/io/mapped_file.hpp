// A file as bytes in memory that cannot be written to.
//
//   auto file = vq::mapped_file::open("model.safetensors");
//   if (!file) return report(vq::describe(file.error()));
//   parse(file->bytes());
//
// file_access::map lends the pages of the operating system: nothing is copied, and programs that
// map the same file share its memory. If another program shortens the file meanwhile, touching the
// lost pages kills this one (SIGBUS); file_access::read copies the file and is immune. Where the
// system cannot map, `map` reads too.
#ifndef VQ_IO_MAPPED_FILE_HPP
#define VQ_IO_MAPPED_FILE_HPP

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

enum class file_access { map, read };

struct open_options {
  file_access access = file_access::map;
  std::uint64_t max_bytes =
      (std::numeric_limits<std::uint64_t>::max)();  // a larger file is refused
};

class mapped_file {
 public:
  // Errors: not_found, io_error (not a regular file, larger than allowed, unreadable, no memory).
  static result<mapped_file, failure> open(const std::filesystem::path& path,
                                           const open_options& options = {});

  mapped_file() noexcept = default;
  mapped_file(mapped_file&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        copy_(std::move(other.copy_)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(copy_, other.copy_);
    return *this;
  }
  ~mapped_file() {
#if defined(__unix__) || defined(__APPLE__)
    if (is_mapped()) ::munmap(const_cast<std::byte*>(data_), size_);
#endif
  }

  // Valid while this object lives, also after it was moved to another name.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  bool is_mapped() const noexcept { return data_ != nullptr && copy_ == nullptr; }

  // Gives the memory of a part of bytes() back; it is read from the file again when touched. A
  // program that walks through a large file so needs no more memory than its largest part. Does
  // nothing where the file was copied.
  void drop_pages(std::span<const std::byte> part) const noexcept;

 private:
  bool map(const std::filesystem::path& path, std::size_t size) noexcept;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> copy_;
};

inline result<mapped_file, failure> mapped_file::open(const std::filesystem::path& path,
                                                      const open_options& options) {
  const std::string name = path.string();
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  if (kind == std::filesystem::file_type::not_found) {
    return failure{status::not_found, sentence(name, ": there is no such file")};
  }
  if (error) return failure{status::io_error, sentence(name, ": ", error.message())};
  if (kind != std::filesystem::file_type::regular) {
    return failure{status::io_error, sentence(name, ": not a regular file")};
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return failure{status::io_error, sentence(name, ": ", error.message())};
  if (size > options.max_bytes || size > (std::numeric_limits<std::size_t>::max)() / 2) {
    return failure{status::io_error,
                   sentence(name, ": the file has ", size, " bytes, more than allowed")};
  }

  mapped_file file;
  if (options.access == file_access::map && file.map(path, static_cast<std::size_t>(size))) {
    return file;
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return failure{status::io_error, sentence(name, ": cannot be opened for reading")};
  file.copy_.reset(new (std::nothrow) std::byte[static_cast<std::size_t>(size)]);
  if (!file.copy_) {
    return failure{status::io_error, sentence(name, ": no memory for its ", size, " bytes")};
  }
  stream.read(reinterpret_cast<char*>(file.copy_.get()), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(stream.gcount()) != size) {
    return failure{status::io_error, sentence(name, ": reading stopped after ", stream.gcount(),
                                              " of ", size, " bytes")};
  }
  file.data_ = file.copy_.get();
  file.size_ = static_cast<std::size_t>(size);
  return file;
}

inline bool mapped_file::map([[maybe_unused]] const std::filesystem::path& path,
                             [[maybe_unused]] std::size_t size) noexcept {
#if defined(__unix__) || defined(__APPLE__)
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct ::stat now {};
  const bool unchanged =
      ::fstat(descriptor, &now) == 0 && static_cast<std::uintmax_t>(now.st_size) == size;
  void* pages = unchanged && size > 0 ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
                                      : MAP_FAILED;
  ::close(descriptor);  // the mapping keeps the file
  if (pages == MAP_FAILED) return false;
  data_ = static_cast<const std::byte*>(pages);
  size_ = size;
  return true;
#else
  return false;
#endif
}

inline void mapped_file::drop_pages(
    [[maybe_unused]] std::span<const std::byte> part) const noexcept {
#if defined(__unix__) || defined(__APPLE__)
  const long page = ::sysconf(_SC_PAGESIZE);
  if (!is_mapped() || part.empty() || page <= 0) return;
  // Whole pages around the part: a neighbour's bytes come back from the file like any.
  const auto offset = static_cast<std::size_t>(part.data() - data_);
  const std::size_t begin = offset - offset % static_cast<std::size_t>(page);
  static_cast<void>(::madvise(const_cast<std::byte*>(data_) + begin, offset - begin + part.size(),
                              MADV_DONTNEED));
#endif
}

// Bytes as characters, for formats that are text.
inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace vq::inline v1

#endif
