// Labelled images from a safetensors file: `images` U8 (image, 3, height, width), `labels` I32.
#ifndef ENGINE_IMAGE_SET_HPP
#define ENGINE_IMAGE_SET_HPP

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/io/failure.hpp>

#include "engine/model.hpp"

namespace engine {

class image_set {
 public:
  // Errors: those of safetensors_file; no images, as many labels as images, a label that is no
  // class, an image size other than the network's.
  static vq::result<image_set, vq::failure> open(const std::filesystem::path& path, const model& m);

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
  image_set(std::shared_ptr<const void> file, vq::tensor_view<const std::uint8_t, 4> images,
            std::vector<std::int32_t> labels, const preprocessing& prepare)
      : file_(std::move(file)), images_(images), labels_(std::move(labels)), prepare_(prepare) {}

  std::shared_ptr<const void> file_;  // keeps the images mapped
  vq::tensor_view<const std::uint8_t, 4> images_;
  std::vector<std::int32_t> labels_;
  preprocessing prepare_;
};

}  // namespace engine

#endif
