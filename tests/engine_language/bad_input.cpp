// Whatever is wrong with a model or a set of questions is said in one sentence.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <vq/io/atomic_file.hpp>
#include <vq/io/safetensors_writer.hpp>

#include "engine/language/question_answering.hpp"
#include "engine/language/vocabulary.hpp"
#include "language.hpp"

namespace {

namespace fs = std::filesystem;

// A copy of the bundled LLaVA's small files that is removed at the end of a test.
class damaged_llava {
 public:
  damaged_llava() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    folder_ = fs::temp_directory_path() / ("vq-test-llava-" + std::to_string(now));
    fs::create_directories(folder_);
    for (const char* name : {"config.json", "preprocessor_config.json"}) {
      fs::copy_file(bundled::folder() / "llava" / name, folder_ / name);
    }
    fs::create_symlink(fs::absolute(bundled::folder() / "llava/model.safetensors"),
                       folder_ / "model.safetensors");
  }
  damaged_llava(const damaged_llava&) = delete;
  damaged_llava& operator=(const damaged_llava&) = delete;
  ~damaged_llava() { fs::remove_all(folder_); }

  // The first `from` in config.json becomes `to`; the sentence about it, without the folder.
  std::string complaint(const std::string& from, const std::string& to) const {
    std::ifstream in(folder_ / "config.json");
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto place = text.find(from);
    REQUIRE(place != std::string::npos);
    REQUIRE(vq::write_file(folder_ / "config.json", text.replace(place, from.size(), to)));
    auto files = engine::opened_model::open(folder_, "llava");
    const auto sentence = [&](const vq::failure& f) {
      const std::string prefix = folder_.string() + "/", said = vq::describe(f);
      return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
    };
    if (!files) return sentence(files.error());
    const auto built = engine::llava_model::build(*files, {}, engine::weight_path::packed);
    REQUIRE(!built);
    return sentence(built.error());
  }

 private:
  fs::path folder_;
};

}  // namespace

TEST_CASE("a config of another model, or out of range, is refused", "[engine]") {
  const damaged_llava m;
  SECTION("another type") {
    CHECK(m.complaint("\"llava\"", "\"paligemma\"") ==
          "config.json: field 'model_type': 'llava' is needed");
  }
  SECTION("no section") {
    CHECK(m.complaint("\"vision_config\"", "\"visual\"") ==
          "config.json: field 'vision_config': an object is needed");
  }
  SECTION("heads that do not divide") {
    CHECK(m.complaint("\"num_attention_heads\": 5", "\"num_attention_heads\": 7") ==
          "config.json: field 'vision_config.num_attention_heads': a divisor of 160 is needed");
  }
  SECTION("another activation") {
    CHECK(m.complaint("\"silu\"", "\"relu\"") ==
          "config.json: field 'text_config.hidden_act': only 'silu' is known here");
  }
  SECTION("a layer that is not there") {
    CHECK(m.complaint("\"vision_feature_layer\": -2", "\"vision_feature_layer\": -9") ==
          "config.json: field 'vision_feature_layer': an integer from -7 to 6 is needed");
  }
  SECTION("more layers than tensors") {
    CHECK(m.complaint("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5") ==
          "model.safetensors: tensor 'language_model.model.layers.4.input_layernorm.weight': the "
          "file has no such tensor");
  }
  SECTION("tensors of another shape") {
    CHECK(m.complaint("\"intermediate_size\": 688", "\"intermediate_size\": 700") ==
          "model.safetensors: tensor 'language_model.model.layers.0.mlp.gate_proj.weight': shape "
          "[688, 256] where [700, 256] is needed");
  }
}

TEST_CASE("a format that does not exist names the tensor", "[engine]") {
  auto files = bundled::files("llava");
  const char* tensor = "multi_modal_projector.linear_1.weight";
  const auto built =
      engine::llava_model::build(files, {{tensor, "int9-channel"}}, engine::weight_path::packed);
  REQUIRE(!built);
  CHECK(vq::describe(built.error()).find(tensor) != std::string::npos);
  CHECK(vq::describe(built.error()).find("'int9-channel'") != std::string::npos);
}

TEST_CASE("mosaics whose cells are no images are refused", "[engine]") {
  const auto file = fs::temp_directory_path() / "vq-test-mosaics.safetensors";
  const auto complaint = [&](std::vector<std::int32_t> cells, std::int32_t length,
                             std::int32_t type) {
    const std::vector<std::int32_t> ids(8, 1), lengths{length}, types{type};
    vq::safetensors_writer out;
    out.add("clip.cells", {1, 4}, cells);
    out.add("clip.ids", {1, 8}, ids);
    out.add("vqa.cells", {1, 4}, cells);
    out.add("vqa.prompt_ids", {1, 8}, ids);
    out.add("vqa.answer_ids", {1, 8}, ids);
    out.add("vqa.prompt_len", {1}, lengths);
    out.add("vqa.answer_len", {1}, lengths);
    out.add("vqa.type", {1}, types);
    REQUIRE(out.write(file));
    const auto set =
        engine::mosaic_set::open(file, bundled::folder() / "data/cifar10-test.safetensors");
    fs::remove(file);
    const std::string said = set ? "fine" : vq::describe(set.error());
    const std::string prefix = file.string() + ": ";
    return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
  };
  CHECK(complaint({0, 1, 2, 3}, 8, 6) == "fine");
  CHECK(complaint({0, 1, 2, 2000}, 8, 6) == "tensor 'clip.cells': a cell is none of the images");
  CHECK(complaint({0, -1, 2, 3}, 8, 6) == "tensor 'clip.cells': a cell is none of the images");
  CHECK(complaint({0, 1, 2, 3}, 9, 6) == "tensor 'vqa.prompt_len': a value is out of range");
  CHECK(complaint({0, 1, 2, 3}, 0, 6) == "tensor 'vqa.prompt_len': a value is out of range");
  CHECK(complaint({0, 1, 2, 3}, 8, 7) == "tensor 'vqa.type': a value is out of range");
}
