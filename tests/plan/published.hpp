// config.json of published models, from tests/plan/configs.
#ifndef VQ_TESTS_PLAN_PUBLISHED_HPP
#define VQ_TESTS_PLAN_PUBLISHED_HPP

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include <vq/plan/architecture.hpp>

#include "catch.hpp"

namespace published {

inline std::string path(const std::string& name) {
#ifdef VQ_SOURCE_DIR
  return VQ_SOURCE_DIR "/tests/plan/configs/" + name + ".json";
#else
  return "tests/plan/configs/" + name + ".json";
#endif
}

inline nlohmann::json config(const std::string& name) {
  std::ifstream file(path(name));
  CAPTURE(name);
  REQUIRE(file);
  return nlohmann::json::parse(file);
}

inline vq::model_architecture model(const std::string& name) {
  const auto read = vq::read_architecture(config(name), name);
  if (!read) FAIL(vq::describe(read.error()));
  return *read;
}

}  // namespace published

#endif
