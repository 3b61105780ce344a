// The sensitivity of LLaVA (subject.hpp): questions with their right answers before them, and the
// divergence of the logits at the answers' tokens. Features of the vision tower are computed again
// only where a trial changes the tower.
#ifndef ENGINE_SENSITIVITY_LANGUAGE_SUBJECT_HPP
#define ENGINE_SENSITIVITY_LANGUAGE_SUBJECT_HPP

#include <filesystem>
#include <memory>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/sensitivity/subject.hpp"

namespace engine {

struct language_subject_options {
  std::filesystem::path questions, images;
  index_type items = 256;
  index_type subsets = 8;
  index_type threads = 1;  // inside of one measurement
};

// All linear layers: vision tower, connector, decoder and head. Errors: what is wrong with which
// file, or questions that do not fit the model.
vq::result<std::unique_ptr<subject>, vq::failure> open_language_subject(
    const std::filesystem::path& folder, const language_subject_options& options);

}  // namespace engine

#endif
