// The index of a sharded checkpoint, and plans for one.
#include <string>
#include <vector>

#include <vq/io/shard_index.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

std::string refusal(std::string_view text) {
  const auto index = vq::parse_shard_index(text, "i.json");
  if (index) return "no failure";
  CHECK(index.error().code == vq::status::bad_format);
  return vq::describe(index.error());
}
std::string with_shard(const std::string& name) {
  return R"({"weight_map": {"w": ")" + name + R"("}})";
}

}  // namespace

TEST_CASE("shard_index: tensors, shards and the total size are read", "[io]") {
  const auto index = vq::parse_shard_index(
      R"({"metadata": {"total_size": 14126645248, "total_parameters": {"a": [1]}},
          "weight_map": {"b": "2.safetensors", "a": "1.safetensors", "c": "2.safetensors"}})",
      "i.json");
  REQUIRE(index);
  CHECK(index->total_size == 14126645248u);
  CHECK(index->shard_of.at("c") == "2.safetensors");
  CHECK(index->shards() == std::vector<std::string>{"1.safetensors", "2.safetensors"});
  // old writers divide, and leave things out
  CHECK(vq::parse_shard_index(R"({"metadata": {"total_size": 24.0}, "weight_map": {"a": "1"}})", "")
            ->total_size == 24u);
  CHECK_FALSE(vq::parse_shard_index(R"({"weight_map": {"a": "1"}})", "")->total_size);
}

TEST_CASE("shard_index: shards stay in their folder", "[io]") {
  for (const char* name : {"", ".", "..", "../model", "a/b", "/etc/passwd", "a\\\\b", "c:d"}) {
    CAPTURE(name);
    CHECK(refusal(with_shard(name)).ends_with(", not a plain file name"));
  }
  CHECK(refusal(with_shard(std::string(300, 'x'))).ends_with(", not a plain file name"));
  CHECK(refusal(with_shard("a\\u0000b")) ==
        "i.json: weight_map: the shard of 'w' is 'a\\x00b', not a plain file name");
}

TEST_CASE("shard_index: what is wrong is a sentence", "[io]") {
  CHECK(refusal("") == "i.json: not valid JSON in UTF-8");
  CHECK(refusal(R"({"weight_map": {"w": "s"})") == "i.json: not valid JSON in UTF-8");
  CHECK(refusal(std::string("{}\0x", 4)) == "i.json: not valid JSON in UTF-8");
  CHECK(refusal("[]") == "i.json: must be a JSON object");
  CHECK(refusal("{}") == "i.json: weight_map must be an object");
  CHECK(refusal(R"({"weight_map": []})") == "i.json: weight_map must be an object");
  CHECK(refusal(R"({"weight_map": {}})") == "i.json: weight_map names no tensor");
  CHECK(refusal(R"({"weight_map": {"w": 1}})") ==
        "i.json: weight_map: the shard of 'w' must be a string");
  CHECK(refusal(R"({"weight_map": {"w": "1", "w": "2"}})") == "i.json: 'w' occurs twice");
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(refusal(R"({"weight_map": {"w": "1"}, "x": )" + deep + "}") ==
        "i.json: values are nested deeper than 64");
}

TEST_CASE("shard_index: groups stay together and shards keep their limit", "[io]") {
  const auto tensor = [](std::string name, vq::index_type size) {
    return vq::tensor_info{std::move(name), vq::dtype::u8, {size}};
  };
  const std::vector<std::vector<vq::tensor_info>> groups{{tensor("a", 6), tensor("a.absmax", 2)},
                                                         {tensor("b", 2)},
                                                         {tensor("c", 1)},
                                                         {tensor("d", 30)},
                                                         {tensor("e", 10)}};
  const auto shards = vq::plan_shards(std::span(groups), 10);
  REQUIRE(shards.size() == 4);
  CHECK(shards[0].file == "model-00001-of-00004.safetensors");
  CHECK(shards[0].bytes == 10);
  CHECK(shards[0].tensors.size() == 3);
  CHECK(shards[1].tensors[0].name == "c");
  CHECK(shards[2].tensors[0].name == "d");  // alone, because it is larger than the limit
  CHECK(shards[3].file == "model-00004-of-00004.safetensors");

  const auto index = vq::index_of(shards);
  CHECK(index.total_size == 51u);
  CHECK(index.shard_of.at("a.absmax") == "model-00001-of-00004.safetensors");
  CHECK(index.shard_of.size() == 6);

  const auto one = vq::plan_shards(std::span(groups));
  REQUIRE(one.size() == 1);
  CHECK(one[0].file == "model.safetensors");
  const std::vector<vq::tensor_info> flat{tensor("a", 6), tensor("b", 6)};
  CHECK(vq::plan_shards(std::span(flat), 10).size() == 2);
}

TEST_CASE("shard_index: written as transformers writes it", "[io]") {
  const files::folder folder;
  vq::shard_index index;
  index.shard_of = {{"b", "2.safetensors"}, {"a\xc3\xa9", "1.safetensors"}};
  index.total_size = 24;
  REQUIRE(vq::write_shard_index(folder / "i.json", index));
  CHECK(files::read(folder / "i.json") ==
        "{\n  \"metadata\": {\n    \"total_size\": 24\n  },\n  \"weight_map\": {\n"
        "    \"a\\u00e9\": \"1.safetensors\",\n    \"b\": \"2.safetensors\"\n  }\n}\n");
  index.shard_of = {{"a", "../x"}};
  const auto refused = vq::write_shard_index(folder / "i.json", index);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == vq::status::bad_argument);
}
