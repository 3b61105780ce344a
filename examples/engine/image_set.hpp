// Labelled images from a safetensors file: `images` U8 (image, 3, height, width), `labels` I32.
#ifndef ENGINE_IMAGE_SET_HPP
#define ENGINE_IMAGE_SET_HPP

#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <vq/io/safetensors_reader.hpp>

#include "engine/model.hpp"

namespace engine {

class image_set {
 public:
  // Errors: those of safetensors_file; no images, as many labels as images, a label that is no
  // class, an image size other than the network's.
  static vq::result<image_set, vq::failure> open(const std::filesystem::path& path,
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
    return image_set(*std::move(file), *images, *std::move(labels), m.images);
  }

  index_type size() const { return images_.extent(0); }
  index_type pixels() const { return images_.extent(2) * images_.extent(3); }
  index_type label(index_type i) const { return labels_[at(i)]; }

  // Image i as (height, width, 3) floats, as the model wants them.
  void read(index_type i, std::span<float> out) const {
    const std::uint8_t* image = images_.data_handle() + i * images_.stride(0);
    for (std::size_t c = 0; c < 3; ++c) {
      const std::uint8_t* plane = image + static_cast<index_type>(c) * pixels();
      for (index_type p = 0; p < pixels(); ++p) {
        const float value = static_cast<float>(plane[p]) / 255.f;
        out[at(p) * 3 + c] = (value - prepare_.mean[c]) / prepare_.std[c];
      }
    }
  }
  std::vector<float> read(index_type i) const {
    std::vector<float> image(at(3 * pixels()));
    read(i, image);
    return image;
  }

 private:
  image_set(vq::safetensors_file file, vq::tensor_view<const std::uint8_t, 4> images,
            std::vector<std::int32_t> labels, const preprocessing& prepare)
      : file_(std::move(file)), images_(images), labels_(std::move(labels)), prepare_(prepare) {}

  vq::safetensors_file file_;  // keeps the images mapped
  vq::tensor_view<const std::uint8_t, 4> images_;
  std::vector<std::int32_t> labels_;
  preprocessing prepare_;
};

}  // namespace engine

#endif
