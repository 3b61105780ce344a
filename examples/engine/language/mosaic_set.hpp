// Images made of four cells, with a caption or a question to each: examples/models/data/README.md
// tells the layout.
//
//   auto set = mosaic_set::open("data/mosaic-test.safetensors", "data/cifar10-test.safetensors");
//   set->questions()[7].prompt;  set->pixels(set->questions()[7].cells, preparation, row);
#ifndef ENGINE_LANGUAGE_MOSAIC_SET_HPP
#define ENGINE_LANGUAGE_MOSAIC_SET_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vq/io/safetensors_reader.hpp>

#include "engine/language/clip_text_tower.hpp"
#include "engine/model.hpp"

namespace engine {

// Four numbers of images: top left, top right, bottom left, bottom right.
using mosaic = std::array<std::int32_t, 4>;

struct captioned_mosaic {
  mosaic cells;
  token_ids caption;
};

struct mosaic_question {
  mosaic cells;
  token_ids prompt, answer;  // the answer ends with its end token
  std::int32_t type;         // index into question_types
};

inline constexpr std::array<const char*, 7> question_types{"what",   "isthere",  "count",   "where",
                                                           "beside", "vertical", "describe"};

class mosaic_set {
 public:
  // Errors: those of safetensors_file; shapes that do not fit each other, a cell that is no image,
  // a length or a type out of range.
  static vq::result<mosaic_set, vq::failure> open(const std::filesystem::path& items,
                                                  const std::filesystem::path& images) {
    auto file = vq::safetensors_file::open(images);
    if (!file) return file.error();
    const auto cells = file->view<std::uint8_t, 4>("images");
    if (!cells) return cells.error();
    mosaic_set set(*std::move(file), *cells);
    if (cells->extent(1) != 3 || cells->extent(2) != cells->extent(3)) {
      return refused(images, "images", "square images of three colours are needed");
    }
    const auto index = vq::safetensors_file::open(items);
    if (!index) return index.error();
    if (auto failed = set.read_captions(*index)) return *std::move(failed);
    if (auto failed = set.read_questions(*index)) return *std::move(failed);
    return set;
  }

  std::span<const captioned_mosaic> captions() const { return captions_; }
  std::span<const mosaic_question> questions() const { return questions_; }
  index_type side() const { return 2 * images_.extent(2); }

  // A mosaic as the models want it: 3 planes of side() x side().
  void pixels(const mosaic& cells, const preprocessing& prepare, std::span<float> out) const {
    const index_type half = images_.extent(2), whole = side();
    for (index_type i = 0; i < 4; ++i) {
      const std::uint8_t* from = images_.data_handle() + cells[at(i)] * images_.stride(0);
      for (index_type c = 0; c < 3; ++c) {
        for (index_type y = 0; y < half; ++y) {
          float* to = out.data() + (c * whole + i / 2 * half + y) * whole + i % 2 * half;
          for (index_type x = 0; x < half; ++x) {
            to[x] =
                (static_cast<float>(*from++) / 255.f - prepare.mean[at(c)]) / prepare.std[at(c)];
          }
        }
      }
    }
  }

 private:
  using table = vq::tensor_view<const std::int32_t, 2>;

  mosaic_set(vq::safetensors_file file, vq::tensor_view<const std::uint8_t, 4> images)
      : file_(std::move(file)), images_(images) {}

  static vq::failure refused(const std::filesystem::path& file, const char* tensor,
                             const char* rule) {
    return {vq::status::bad_format, vq::sentence(file.string(), ": tensor '", tensor, "': ", rule)};
  }

  // Four images each. Errors: as open().
  vq::result<std::vector<mosaic>, vq::failure> read_cells(const vq::safetensors_file& file,
                                                          const char* tensor) const {
    const auto cells = file.view<std::int32_t, 2>(tensor);
    if (!cells) return cells.error();
    if (cells->extent(1) != 4) return refused(file.name(), tensor, "rows of four are needed");
    std::vector<mosaic> all(at(cells->extent(0)));
    for (index_type i = 0; i < cells->extent(0); ++i) {
      for (index_type k = 0; k < 4; ++k) {
        const std::int32_t cell = (*cells)(i, k);
        if (cell < 0 || cell >= images_.extent(0)) {
          return refused(file.name(), tensor, "a cell is none of the images");
        }
        all[at(i)][at(k)] = cell;
      }
    }
    return all;
  }

  std::optional<vq::failure> read_captions(const vq::safetensors_file& file) {
    const auto cells = read_cells(file, "clip.cells");
    if (!cells) return cells.error();
    const auto ids = file.view<std::int32_t, 2>("clip.ids");
    if (!ids) return ids.error();
    if (ids->extent(0) != std::ssize(*cells) || ids->extent(1) == 0) {
      return refused(file.name(), "clip.ids", "a row for each mosaic is needed");
    }
    for (index_type i = 0; i < ids->extent(0); ++i) {
      captions_.push_back({(*cells)[at(i)], row(*ids, i, ids->extent(1))});
    }
    return std::nullopt;
  }

  std::optional<vq::failure> read_questions(const vq::safetensors_file& file) {
    const auto cells = read_cells(file, "vqa.cells");
    if (!cells) return cells.error();
    const auto prompts = file.view<std::int32_t, 2>("vqa.prompt_ids");
    if (!prompts) return prompts.error();
    const auto answers = file.view<std::int32_t, 2>("vqa.answer_ids");
    if (!answers) return answers.error();
    std::array<std::vector<std::int32_t>, 3> numbers;
    constexpr std::array names{"vqa.prompt_len", "vqa.answer_len", "vqa.type"};
    const std::array most{prompts->extent(1), answers->extent(1),
                          static_cast<index_type>(question_types.size()) - 1};
    for (std::size_t n = 0; n < names.size(); ++n) {
      auto values = file.to_vector<std::int32_t>(names[n]);
      if (!values) return values.error();
      if (values->size() != cells->size()) {
        return refused(file.name(), names[n], "one for each question is needed");
      }
      for (const std::int32_t value : *values) {
        if (value < (n == 2 ? 0 : 1) || value > most[n]) {
          return refused(file.name(), names[n], "a value is out of range");
        }
      }
      numbers[n] = *std::move(values);
    }
    if (prompts->extent(0) != std::ssize(*cells) || answers->extent(0) != std::ssize(*cells)) {
      return refused(file.name(), "vqa.prompt_ids",
                     "prompt and answer of each question are needed");
    }
    for (std::size_t i = 0; i < cells->size(); ++i) {
      const auto n = static_cast<index_type>(i);
      questions_.push_back({(*cells)[i], row(*prompts, n, numbers[0][i]),
                            row(*answers, n, numbers[1][i]), numbers[2][i]});
    }
    return std::nullopt;
  }

  static token_ids row(const table& ids, index_type i, index_type length) {
    const std::int32_t* from = ids.data_handle() + i * ids.stride(0);
    return {from, from + length};
  }

  vq::safetensors_file file_;  // keeps the images mapped
  vq::tensor_view<const std::uint8_t, 4> images_;
  std::vector<captioned_mosaic> captions_;
  std::vector<mosaic_question> questions_;
};

// Pixels of the mosaics of `items` as rows of a matrix.
template <class Item>
matrix pixel_rows(const mosaic_set& set, std::span<const Item> items,
                  const preprocessing& prepare) {
  matrix pixels(std::ssize(items), 3 * set.side() * set.side());
  for (index_type i = 0; i < pixels.rows(); ++i) {
    set.pixels(items[at(i)].cells, prepare, {pixels.row(i).data(), at(pixels.cols())});
  }
  return pixels;
}

}  // namespace engine

#endif
