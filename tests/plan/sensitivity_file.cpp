#include <string>

#include <vq/plan/sensitivity_file.hpp>

#include "catch.hpp"

namespace {

vq::sensitivity_file example() {
  vq::sensitivity_file f;
  f.about = {{"model", "a \"name\""}, {"measure", "KL"}};
  f.table.layers = {{"stem"}, {"head", "inputs"}};
  f.table.formats = {"int4-channel", "nf4-block64"};
  f.table.trials = {{vq::procedure::alone, 0, 1, {0.1, 1e-300}},
                    {vq::procedure::all_but_one, 1, 0, {1.0 / 3, 2}},
                    {vq::procedure::cumulative, 1, 1, {-0.0, 5e300}}};
  f.table.complete = true;
  return f;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("sensitivity file: what is read is what was written, to the bit", "[plan]") {
  const auto before = example();
  const std::string text = vq::format_sensitivity(before);
  const auto after = vq::parse_sensitivity(text, "table.json");
  REQUIRE(after);
  CHECK(after->about == before.about);
  CHECK(after->table.layers == before.table.layers);
  CHECK(after->table.formats == before.table.formats);
  CHECK(after->table.complete);
  REQUIRE(after->table.trials.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(after->table.trials[i].how == before.table.trials[i].how);
    CHECK(after->table.trials[i].measure == before.table.trials[i].measure);
  }
  CHECK(vq::format_sensitivity(*after) == text);
}

TEST_CASE("sensitivity file: what does not belong together is refused", "[plan]") {
  const std::string good = vq::format_sensitivity(example());
  const auto refuses = [](const std::string& text) {
    const auto read = vq::parse_sensitivity(text, "table.json");
    return !read && read.error().message.starts_with("table.json: ");
  };
  CHECK_FALSE(refuses(good));
  CHECK(refuses(""));
  CHECK(refuses("[]"));
  CHECK(refuses(replaced(good, "\"vq_sensitivity\": 1", "\"vq_sensitivity\": 2")));
  CHECK(refuses(replaced(good, "\"layer\": 1", "\"layer\": 2")));
  CHECK(refuses(replaced(good, "\"layer\": 1", "\"layer\": -1")));
  CHECK(refuses(replaced(good, "\"format\": 0", "\"format\": 0.5")));
  CHECK(refuses(replaced(good, "[0.1,1e-300]", "[0.1]")));
  CHECK(refuses(replaced(good, "[0.1,1e-300]", "[]")));
  CHECK(refuses(replaced(good, "[0.1,1e-300]", "[0.1,null]")));
  CHECK(refuses(replaced(good, "\"alone\"", "\"together\"")));
  CHECK(refuses(replaced(good, "\"KL\"", "1")));
  CHECK(refuses(good.substr(0, good.size() / 2)));
}
