// Reading safetensors: names, shapes and views of tensors that stay where the file lies.
//
//   auto file = vq::safetensors_file::open("model.safetensors");
//   if (!file) return report(vq::describe(file.error()));
//   auto weight = file->view<float, 4>("conv1.weight", {16, 3, 3, 3});  // not copied
//   if (!weight) return report(vq::describe(weight.error()));
//
// Opening checks the whole header (safetensors_header.hpp says which rules) and touches no data.
#ifndef VQ_IO_SAFETENSORS_READER_HPP
#define VQ_IO_SAFETENSORS_READER_HPP

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/mapped_file.hpp>
#include <vq/io/safetensors_header.hpp>
#include <vq/io/stored_floats.hpp>
#include <vq/io/tensor_info.hpp>

namespace vq::inline v1 {

static_assert(std::endian::native == std::endian::little,
              "safetensors are little-endian, and so must be the machine that maps them");

class safetensors_file {
 public:
  // Errors: those of mapped_file::open; bad_format with the rule that the file breaks.
  static result<safetensors_file, failure> open(const std::filesystem::path& path,
                                                const open_options& options = {}) {
    auto file = mapped_file::open(path, options);
    if (!file) return file.error();
    auto opened = from_bytes(file->bytes(), path.string());
    if (opened) opened->file_ = std::move(*file);
    return opened;
  }

  // A file that is already in memory, and stays there as long as this object; `name` is what
  // messages call it.
  static result<safetensors_file, failure> from_bytes(std::span<const std::byte> bytes,
                                                      std::string name) {
    auto header = parse_safetensors(bytes, name);
    if (!header) return header.error();
    return safetensors_file(std::move(*header), std::move(name));
  }

  const std::string& name() const noexcept { return name_; }
  std::span<const tensor_entry> tensors() const noexcept { return header_.tensors; }  // by offset
  const std::map<std::string, std::string>& metadata() const noexcept { return header_.metadata; }

  // Null where there is no such tensor.
  const tensor_entry* find(std::string_view name) const noexcept {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [this](std::uint32_t i, std::string_view wanted) {
                                       return header_.tensors[i].name < wanted;
                                     });
    if (at == by_name_.end() || header_.tensors[*at].name != name) return nullptr;
    return &header_.tensors[*at];
  }

  // Errors: not_found.
  result<const tensor_entry*, failure> get(std::string_view name) const {
    const tensor_entry* tensor = find(name);
    if (tensor == nullptr) return refuse(status::not_found, name, "the file has no such tensor");
    return tensor;
  }

  // The values where they lie, valid while this object lives.
  // Errors: not_found, type_mismatch, size_mismatch (the rank), misaligned (see to_vector).
  template <storable T, int Rank>
  result<tensor_view<const T, Rank>, failure> view(std::string_view name) const {
    const auto tensor = typed<T>(name);
    if (!tensor) return tensor.error();
    const std::vector<index_type>& shape = (*tensor)->shape;
    if (shape.size() != static_cast<std::size_t>(Rank)) {
      return refuse(status::size_mismatch, name,
                    sentence("shape ", spelled(shape), " has ", shape.size(), " dimensions where ",
                             Rank, " are needed"));
    }
    const std::byte* data = (*tensor)->bytes.data();
    if (reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0) {
      return refuse(status::misaligned, name,
                    sentence("the data begin at byte ", (*tensor)->begin, ", not aligned for ",
                             name_of(dtype_of<T>::value)));
    }
    shape_type<Rank> extents{};
    std::copy(shape.begin(), shape.end(), extents.begin());
    return tensor_view<const T, Rank>(reinterpret_cast<const T*>(data), extents);
  }

  // The same, and the shape must be the one that the caller knows.
  template <storable T, int Rank>
  result<tensor_view<const T, Rank>, failure> view(std::string_view name,
                                                   const shape_type<Rank>& expected) const {
    auto found = view<T, Rank>(name);
    if (found && found->extents() != expected) {
      return refuse(status::size_mismatch, name,
                    sentence("shape ", spelled(found->extents()), " where ", spelled(expected),
                             " is needed"));
    }
    return found;
  }

  // A copy of the values, wherever they lie. Errors: not_found, type_mismatch.
  template <storable T>
  result<std::vector<T>, failure> to_vector(std::string_view name) const {
    const auto tensor = typed<T>(name);
    if (!tensor) return tensor.error();
    return copy<T>(**tensor);
  }

  // A copy as floats of F32, F16, BF16 or F64 (rounded to the nearest float).
  // Errors: not_found, type_mismatch.
  result<std::vector<float>, failure> to_floats(std::string_view name) const {
    const auto tensor = get(name);
    if (!tensor) return tensor.error();
    std::vector<float> values(static_cast<std::size_t>((*tensor)->size()));
    if (load_floats(scalar, (*tensor)->bytes, (*tensor)->type, values) != status::ok) {
      return refuse(
          status::type_mismatch, name,
          sentence("dtype ", name_of((*tensor)->type), " where F32, F16, BF16 or F64 is needed"));
    }
    return values;
  }

  // Gives the memory of a tensor's pages back (mapped_file.hpp); its bytes stay readable.
  void drop_pages(const tensor_entry& tensor) const noexcept { file_.drop_pages(tensor.bytes); }

 private:
  safetensors_file(safetensors_header header, std::string name)
      : name_(std::move(name)), header_(std::move(header)), by_name_(header_.tensors.size()) {
    std::iota(by_name_.begin(), by_name_.end(), std::uint32_t{0});
    std::sort(by_name_.begin(), by_name_.end(), [this](std::uint32_t a, std::uint32_t b) {
      return header_.tensors[a].name < header_.tensors[b].name;
    });
  }

  failure refuse(status code, std::string_view tensor, std::string_view rule) const {
    return {code, sentence(name_, ": tensor ", in_quotes(tensor), ": ", rule)};
  }

  template <storable T>
  result<const tensor_entry*, failure> typed(std::string_view name) const {
    const auto tensor = get(name);
    if (tensor && (*tensor)->type != dtype_of<T>::value) {
      return refuse(status::type_mismatch, name,
                    sentence("dtype ", name_of((*tensor)->type), " where ",
                             name_of(dtype_of<T>::value), " is needed"));
    }
    return tensor;
  }

  template <storable T>
  static std::vector<T> copy(const tensor_entry& tensor) {
    std::vector<T> values(tensor.bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }

  std::string name_;
  mapped_file file_;  // owns nothing after from_bytes
  safetensors_header header_;
  std::vector<std::uint32_t> by_name_;
};

}  // namespace vq::inline v1

#endif
