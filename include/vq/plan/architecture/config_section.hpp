// Fields of a config.json, with the value that stands for an absent one.
//
//   vq::failure error{vq::status::ok, {}};
//   const vq::config_section config(json, "config.json", error), text = config.section("text_config");
//   const vq::index_type hidden = text.integer("hidden_size", 4096);
//   if (error.code != vq::status::ok) return error;
//   // config.json: text_config: 'hidden_size' must be an integer from 1 to 1048576
//
// Published configurations leave out what equals the default of their class, so a reader has to
// know those. null counts as absent. The first field that breaks its rule is remembered; reading
// goes on, with values inside their bounds.
#ifndef VQ_PLAN_ARCHITECTURE_CONFIG_SECTION_HPP
#define VQ_PLAN_ARCHITECTURE_CONFIG_SECTION_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/core/config.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

class config_section {
 public:
  using json = nlohmann::json;

  // Bounds of what a size may be: above every published model, below overflow of any product.
  static constexpr index_type largest_size = 1 << 20;
  static constexpr index_type most_layers = 1000;
  static constexpr index_type required = -1;

  config_section(const json& object, std::string where, failure& error)
      : object_(&object), where_(std::move(where)), error_(&error) {
    if (!object.is_object()) refuse("this is not a JSON object");
  }

  bool has(const char* field) const {
    return object_->is_object() && object_->contains(field) && !(*object_)[field].is_null();
  }
  // An empty section where the field is absent.
  config_section section(const char* field) const {
    static const json empty = json::object();
    return {has(field) ? (*object_)[field] : empty, where_ + ": " + field, *error_};
  }

  index_type integer(const char* field, index_type otherwise, index_type highest = largest_size,
                     index_type lowest = 1) const {
    if (!has(field) && otherwise != required) return otherwise;
    if (has(field) && (*object_)[field].is_number_integer()) {
      const json& value = (*object_)[field];
      if (value >= lowest && value <= highest) return value.get<index_type>();
    }
    refuse_field(field, sentence("must be an integer from ", lowest, " to ", highest));
    return otherwise != required ? otherwise : lowest;
  }
  index_type layers(const char* field, index_type otherwise) const {
    return integer(field, otherwise, most_layers);
  }
  double number(const char* field, double otherwise) const {
    if (!has(field)) return otherwise;
    if ((*object_)[field].is_number()) return (*object_)[field].get<double>();
    refuse_field(field, "must be a number");
    return otherwise;
  }
  bool flag(const char* field, bool otherwise) const {
    if (!has(field)) return otherwise;
    if ((*object_)[field].is_boolean()) return (*object_)[field].get<bool>();
    refuse_field(field, "must be true or false");
    return otherwise;
  }
  std::string text(const char* field, std::string_view otherwise) const {
    if (!has(field)) return std::string(otherwise);
    if ((*object_)[field].is_string()) return (*object_)[field].get<std::string>();
    refuse_field(field, "must be a text");
    return std::string(otherwise);
  }
  // Integers from 0 to largest_size; a list of lists is flattened.
  std::vector<index_type> integers(const char* field, std::vector<index_type> otherwise) const {
    if (!has(field)) return otherwise;
    std::vector<index_type> values;
    if (collect((*object_)[field], 2, values)) return values;
    refuse_field(field, "must be a list of integers");
    return otherwise;
  }

  void refuse(std::string_view rule) const {
    if (error_->code == status::ok) {
      *error_ = {status::bad_format, sentence(where_, ": ", rule)};
    }
  }
  void refuse_field(const char* field, std::string_view rule) const {
    refuse(sentence("'", field, "' ", rule));
  }

 private:
  static bool collect(const json& list, int depth, std::vector<index_type>& values) {
    if (!list.is_array() || list.size() > 10'000 || depth == 0) return false;
    for (const json& item : list) {
      if (item.is_array()) {
        if (!collect(item, depth - 1, values)) return false;
      } else if (item.is_number_integer() && item >= 0 && item <= largest_size) {
        values.push_back(item.get<index_type>());
      } else {
        return false;
      }
    }
    return true;
  }

  const json* object_;
  std::string where_;
  failure* error_;
};

}  // namespace vq::inline v1

#endif
