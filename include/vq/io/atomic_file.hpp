// A file that appears under its name completely or not at all.
//
//   auto file = vq::atomic_file::create("model.safetensors");
//   if (!file) return file.error();
//   file->write(header);
//   file->write(data);                    // the first error is remembered
//   auto bytes = file->commit();          // and told here
//
// Bytes go to a temporary file in the same folder; commit() flushes them to the disk and renames it
// over the old file, which a reader (or a mapping) so sees whole until then. Without commit(), and
// after any error, the temporary is removed. A process that is killed leaves the temporary, never a
// partial file under the final name.
#ifndef VQ_IO_ATOMIC_FILE_HPP
#define VQ_IO_ATOMIC_FILE_HPP

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

class atomic_file {
 public:
  // Errors: io_error (the folder does not exist or cannot be written).
  static result<atomic_file, failure> create(std::filesystem::path path) {
    // Two writers never share a temporary: "x" creates or fails. Each second has names of its own, so
    // that those which killed processes left behind are never used up.
    constexpr int attempts = 100;
    const auto seed = static_cast<long long>(std::time(nullptr)) * attempts;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      std::filesystem::path temporary = path;
      temporary += sentence(".", seed + attempt, ".tmp");
      errno = 0;
      if (std::FILE* stream = std::fopen(temporary.string().c_str(), "wbx")) {
        return atomic_file(std::move(path), std::move(temporary), stream);
      }
      if (errno != EEXIST) break;
    }
    return failure{status::io_error,
                   sentence(path.string(), ": cannot be created: ", last_error())};
  }

  atomic_file(atomic_file&&) noexcept = default;
  atomic_file& operator=(atomic_file&& other) noexcept {
    discard();
    path_ = std::move(other.path_);
    temporary_ = std::move(other.temporary_);
    stream_ = std::move(other.stream_);
    written_ = other.written_;
    error_ = std::move(other.error_);
    return *this;
  }
  ~atomic_file() { discard(); }

  void write(std::span<const std::byte> bytes) {
    if (!stream_ || !error_.empty() || bytes.empty()) return;
    errno = 0;
    if (std::fwrite(bytes.data(), 1, bytes.size(), stream_.get()) != bytes.size()) remember();
    written_ += bytes.size();
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  // Bytes for a place further on, in any order; write() goes on where it was. Where the system has
  // pwrite, threads may write to different places at a time. After an error the file must not be
  // committed. Errors: io_error.
  std::optional<failure> write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (!stream_) return refused("was committed before");
    errno = 0;
    if (!write_all_at(offset, bytes)) return refused(last_error());
    return std::nullopt;
  }

  // Puts the file under its name; returns its size in bytes. Errors: io_error.
  result<std::uint64_t, failure> commit() {
    if (!stream_) return refused("was committed before");
    errno = 0;
    if (std::fflush(stream_.get()) != 0) remember();
    if (error_.empty() && !flush_to_disk()) remember();
    errno = 0;
    if (std::fclose(stream_.release()) != 0) remember();
    if (error_.empty()) {
      std::error_code error;
      std::filesystem::rename(temporary_, path_, error);
      if (error) error_ = error.message();
    }
    if (!error_.empty()) {
      remove_temporary();
      return refused(error_);
    }
    flush_folder();
    return written_;
  }

 private:
  struct closer {
    void operator()(std::FILE* stream) const noexcept { std::fclose(stream); }
  };

  atomic_file(std::filesystem::path path, std::filesystem::path temporary, std::FILE* stream)
      : path_(std::move(path)), temporary_(std::move(temporary)), stream_(stream) {}

  static std::string last_error() {
    return errno == 0 ? "unknown error" : std::generic_category().message(errno);
  }
  void remember() {
    if (error_.empty()) error_ = last_error();
  }
  failure refused(std::string_view why) const {
    return {status::io_error, sentence(path_.string(), ": not written: ", why)};
  }
  void remove_temporary() noexcept {
    std::error_code ignored;
    std::filesystem::remove(temporary_, ignored);
  }
  void discard() noexcept {
    if (!stream_) return;
    stream_.reset();
    remove_temporary();
  }

#if defined(__unix__) || defined(__APPLE__)
  bool write_all_at(std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
    const int descriptor = ::fileno(stream_.get());
    while (!bytes.empty()) {
      const ::ssize_t count =
          ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<::off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    return true;
  }
  bool flush_to_disk() noexcept { return ::fsync(::fileno(stream_.get())) == 0; }
  // Makes the new name durable. Some file systems cannot; the file is complete all the same.
  void flush_folder() noexcept {
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    static_cast<void>(::fsync(descriptor));
    ::close(descriptor);
  }
#else
  bool write_all_at(std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
    std::FILE* const stream = stream_.get();
    std::fpos_t place{};
    if (std::fgetpos(stream, &place) != 0 || std::fseek(stream, 0, SEEK_SET) != 0) return false;
    for (std::uint64_t left = offset; left > 0;) {  // a long may have 32 bits
      constexpr std::uint64_t largest = 1u << 30;
      const std::uint64_t step = left < largest ? left : largest;
      if (std::fseek(stream, static_cast<long>(step), SEEK_CUR) != 0) return false;
      left -= step;
    }
    const bool written = std::fwrite(bytes.data(), 1, bytes.size(), stream) == bytes.size();
    return std::fsetpos(stream, &place) == 0 && written;
  }
  bool flush_to_disk() noexcept { return true; }
  void flush_folder() noexcept {}
#endif

  std::filesystem::path path_, temporary_;
  std::unique_ptr<std::FILE, closer> stream_;  // null once committed, discarded or moved from
  std::uint64_t written_ = 0;
  std::string error_;
};

// The whole content at once; returns its size in bytes. Errors: io_error.
inline result<std::uint64_t, failure> write_file(const std::filesystem::path& path,
                                                 std::string_view content) {
  auto file = atomic_file::create(path);
  if (!file) return file.error();
  file->write(content);
  return file->commit();
}

}  // namespace vq::inline v1

#endif
