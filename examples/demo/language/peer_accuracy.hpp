// What PyTorch's simulation reaches on the same weights and data (examples/models): results by model
// and row.
#ifndef DEMO_LANGUAGE_PEER_ACCURACY_HPP
#define DEMO_LANGUAGE_PEER_ACCURACY_HPP

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <vq/io/mapped_file.hpp>

namespace demo {

class peer_accuracy {
 public:
  // Of one model; knows nothing where there is no such file.
  peer_accuracy(const std::filesystem::path& path, const char* model) {
    const auto file = vq::mapped_file::open(path, {.max_bytes = 1 << 24});
    if (!file) return;
    const auto* text = reinterpret_cast<const char*>(file->bytes().data());
    const auto all = nlohmann::json::parse(text, text + file->bytes().size(), nullptr, false);
    const nlohmann::json::json_pointer place(std::string("/results/") + model);
    if (all.is_object() && all.contains(place)) rows_ = all[place];
  }

  // field: "all", or "image_to_text/R@1".
  std::optional<double> operator()(const std::string& row, const std::string& field) const {
    if (!rows_.is_object() || !rows_.contains(row)) return std::nullopt;
    const nlohmann::json::json_pointer place("/" + field);
    const auto& found = rows_[row];
    if (!found.contains(place) || !found[place].is_number()) return std::nullopt;
    return found[place].get<double>();
  }

 private:
  nlohmann::json rows_;
};

inline constexpr const char* float_peer = "fp16_weights_fp32_math";

}  // namespace demo

#endif
