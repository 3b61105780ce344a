// Writing safetensors, byte for byte in the order of the reference writer.
//
//   vq::safetensors_writer out;
//   out.set_metadata("format", "pt");
//   out.add("conv1.weight", {16, 3, 3, 3}, weights);        // a range of floats, not copied
//   auto bytes = out.write("model.safetensors");
//   if (!bytes) return report(vq::describe(bytes.error()));
//
// Everything is at hand here; safetensors_stream.hpp writes tensors that are made one by one, and
// safetensors_layout.hpp says how they lie. The new file replaces an old one only when it is
// complete (atomic_file.hpp).
#ifndef VQ_IO_SAFETENSORS_WRITER_HPP
#define VQ_IO_SAFETENSORS_WRITER_HPP

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <ranges>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_stream.hpp>
#include <vq/io/tensor_info.hpp>

namespace vq::inline v1 {

class safetensors_writer {
 public:
  // The bytes are those of the values, row-major, little-endian. They are not copied: they must
  // live until write(). An empty shape means a single value.
  void add(std::string name, dtype type, std::vector<index_type> shape,
           std::span<const std::byte> bytes) {
    tensors_.push_back({{std::move(name), type, std::move(shape)}, bytes});
  }

  // The same for values of a type that has a dtype.
  template <std::ranges::contiguous_range Values>
    requires std::ranges::sized_range<Values> && std::ranges::borrowed_range<Values> &&
             storable<std::ranges::range_value_t<Values>>
  void add(std::string name, std::vector<index_type> shape, Values&& values) {
    using value_type = std::ranges::range_value_t<Values>;
    const std::span<const value_type> view(std::ranges::data(values), std::ranges::size(values));
    add(std::move(name), dtype_of<value_type>::value, std::move(shape), std::as_bytes(view));
  }

  // A later value of the same key replaces an earlier one.
  void set_metadata(std::string key, std::string value) {
    metadata_.insert_or_assign(std::move(key), std::move(value));
  }

  // Returns the size of the file in bytes. What the reader would refuse is not written.
  // Errors: bad_argument (a name, a shape or a number of bytes breaks the format), io_error.
  result<std::uint64_t, failure> write(const std::filesystem::path& path) const {
    std::vector<tensor_info> infos;
    for (const given& tensor : tensors_) {
      const auto bytes = bytes_of_shape(tensor.info.shape, tensor.info.type);
      if (bytes && *bytes != tensor.bytes.size()) {  // a wrong shape is the layout's to refuse
        return failure{
            status::bad_argument,
            sentence(path.string(), ": tensor ", in_quotes(tensor.info.name), ": ",
                     tensor.bytes.size(), " bytes were given, but shape and dtype take ", *bytes)};
      }
      infos.push_back(tensor.info);
    }
    auto out = safetensors_stream::create(path, std::move(infos), metadata_);
    if (!out) return out.error();
    for (const given& tensor : tensors_) {
      if (auto wrong = out->write(tensor.info.name, tensor.bytes)) return *std::move(wrong);
    }
    return out->commit();
  }

 private:
  struct given {
    tensor_info info;
    std::span<const std::byte> bytes;
  };

  std::vector<given> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace vq::inline v1

#endif
