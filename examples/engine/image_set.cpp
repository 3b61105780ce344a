#include "engine/image_set.hpp"

#include <memory>

#include <vq/io/safetensors_reader.hpp>

namespace engine {

vq::result<image_set, vq::failure> image_set::open(const std::filesystem::path& path,
                                                   const model& m) {
  auto file = vq::safetensors_file::open(path);
  if (!file) return file.error();
  const auto images = file->view<std::uint8_t, 4>("images");
  if (!images) return images.error();
  auto labels = file->to_vector<std::int32_t>("labels");
  if (!labels) return labels.error();

  const auto refuse = [&](const char* tensor, auto... rule) {
    return vq::failure{vq::status::bad_format,
                       vq::sentence(path.string(), ": tensor '", tensor, "': ", rule...)};
  };
  const shape_type& input = m.network[0].shape;
  if (images->extent(1) != 3 || images->extent(2) != input[0] || images->extent(3) != input[1]) {
    const auto& e = images->extents();
    return refuse("images", "shape ", spelled({e.begin(), e.end()}), " where [images, 3, ",
                  input[0], ", ", input[1], "] is needed");
  }
  if (images->extent(0) == 0) return refuse("images", "it holds no image");
  if (static_cast<index_type>(labels->size()) != images->extent(0)) {
    return refuse("labels", labels->size(), " labels for ", images->extent(0), " images");
  }
  const index_type classes = m.network.output().shape.back();
  for (const std::int32_t label : *labels) {
    if (label < 0 || label >= classes) {
      return refuse("labels", "the label ", label, " is none of the ", classes, " classes");
    }
  }
  return image_set(std::make_shared<vq::safetensors_file>(*std::move(file)), *images,
                   *std::move(labels), m.images);
}

}  // namespace engine
