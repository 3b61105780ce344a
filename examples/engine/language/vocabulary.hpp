// vocab.json of a word-level model: words to ids and back. Words are separated by single spaces.
#ifndef ENGINE_LANGUAGE_VOCABULARY_HPP
#define ENGINE_LANGUAGE_VOCABULARY_HPP

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "engine/language/clip_text_tower.hpp"
#include "engine/model_config.hpp"

namespace engine {

class vocabulary {
 public:
  // Errors: the file; an id that is none, or that two words have.
  static vq::result<vocabulary, vq::failure> open(const std::filesystem::path& path) {
    auto config = model_config::open(path);
    if (!config) return config.error();
    vocabulary v;
    for (const std::string& word : config->fields()) {
      const index_type id = config->integer(word.c_str(), 0, 1 << 20);
      v.ids_[word] = static_cast<std::int32_t>(id);
      v.words_[static_cast<std::int32_t>(id)] = word;
    }
    if (!config->ok()) return config->error();
    if (v.words_.size() != v.ids_.size()) {
      return vq::failure{vq::status::bad_format,
                         vq::sentence(path.string(), ": two words have the same id")};
    }
    return v;
  }

  // Errors: a word that the vocabulary lacks.
  vq::result<token_ids, vq::failure> encode(std::string_view text) const {
    token_ids ids;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(text.size(), word.size() + 1));
      if (word.empty()) continue;
      const auto found = ids_.find(word);
      if (found == ids_.end()) {
        return vq::failure{vq::status::not_found,
                           vq::sentence("the vocabulary has no word ", vq::in_quotes(word))};
      }
      ids.push_back(found->second);
    }
    return ids;
  }

  std::string decode(std::span<const std::int32_t> ids) const {
    std::string text;
    for (const std::int32_t id : ids) {
      const auto found = words_.find(id);
      if (!text.empty()) text += ' ';
      text += found == words_.end() ? "?" : found->second;
    }
    return text;
  }

 private:
  std::map<std::string, std::int32_t, std::less<>> ids_;
  std::map<std::int32_t, std::string> words_;
};

}  // namespace engine

#endif
