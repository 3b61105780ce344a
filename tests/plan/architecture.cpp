// Tensors from config.json: the parameters of published models, one by one and in all.
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <vq/io/safetensors_reader.hpp>
#include <vq/plan/architecture.hpp>
#include <vq/plan/assignment.hpp>
#include <vq/plan/weight_formats.hpp>

#include "catch.hpp"
#include "plan/published.hpp"

using vq::component;
using vq::index_type;

namespace {

std::map<component, index_type> parameters(const vq::model_architecture& model) {
  std::vector<std::string_view> names;
  for (const auto& t : model.tensors) names.push_back(t.name);
  const auto parts = vq::classify_all(names, model.facts());
  std::map<component, index_type> counts;
  for (std::size_t i = 0; i < parts.size(); ++i) counts[parts[i]] += model.tensors[i].size();
  return counts;
}

// `decoder`: everything of the language model, its embedding and head included.
struct published_counts {
  const char* name;
  index_type total, vision, connector, decoder, linears, embedding, head;
};

// reference: totals of the hub's metadata, parts from the papers and the modelling code
constexpr published_counts table[] = {
    {"llava-1.5-7b", 7'063'427'072, 303'507'456, 20'979'712, 6'738'939'904, 6'476'005'376,
     131'334'144, 131'334'144},
    {"llava-1.5-13b", 13'351'494'656, 303'507'456, 31'467'520, 13'016'519'680, 12'687'769'600,
     164'167'680, 164'167'680},
    {"llava-1.6-mistral-7b", 7'566'747'648, 303'507'456, 20'979'712 + 4096, 7'242'256'384,
     6'979'321'856, 131'334'144, 131'334'144},
    {"llama-3.2-11b-vision", 10'670'220'835, 863'567'379, 31'461'376, 9'775'192'080, 8'724'152'320,
     525'369'344, 525'336'576},
    {"llama-3.2-90b-vision", 88'593'355'323, 863'567'379, 62'922'752, 87'666'865'192,
     85'563'801'600, 1'050'738'688, 1'050'673'152},
    {"qwen2.5-vl-7b", 8'292'166'656, 631'975'680, 44'574'464, 7'615'616'512, 6'525'288'448,
     544'997'376, 544'997'376},
    {"qwen2.5-vl-3b", 3'754'622'976, 631'975'680, 36'708'608, 3'085'938'688, 2'774'532'096,
     311'164'928, 0},
    {"paligemma-3b-224", 2'923'466'480, 412'442'352, 2'361'344, 2'508'662'784, 1'981'808'640,
     526'778'368, 0},
    {"internvl2.5-8b", 8'075'365'376, 304'012'288, 33'570'816, 7'737'782'272, 6'979'321'856,
     379'097'088, 379'097'088}};

}  // namespace

TEST_CASE("architecture: parameters of published models, part by part", "[plan]") {
  for (const auto& expected : table) {
    CAPTURE(expected.name);
    const auto model = published::model(expected.name);
    auto counts = parameters(model);
    index_type total = 0, linears = 0;
    for (const auto& [part, count] : counts) total += count;
    CHECK(total == expected.total);
    CHECK(counts[component::vision] == expected.vision);
    CHECK(counts[component::connector] == expected.connector);
    CHECK(counts[component::language_model] + counts[component::cross_attention] +
              counts[component::embedding] + counts[component::head] ==
          expected.decoder);
    CHECK(counts[component::embedding] == expected.embedding);
    CHECK(counts[component::head] == expected.head);
    const auto formats = vq::formats_of<vq::weight_formats>();
    const auto plan = vq::apply(
        vq::recipe{
            "decoder",
            "",
            {{.part = component::language_model, .format = "nf4-block64"},
             {.part = component::cross_attention, .format = "nf4-block64", .optional = true}}},
        model.tensors, formats, model.facts());
    REQUIRE(plan);
    for (const auto& t : plan->tensors) linears += t.quantized() ? t.size() : 0;
    CHECK(linears == expected.linears);
  }
}

TEST_CASE("architecture: CLIP's two towers and LLaVA-OneVision", "[plan]") {
  const auto clip = published::model("clip-vit-large-patch14");
  auto counts = parameters(clip);
  CHECK(counts[component::vision] == 303'179'776);
  CHECK(counts[component::connector] == 786'432);
  CHECK(counts[component::text_tower] + counts[component::embedding] == 123'060'480 + 589'824);
  CHECK(counts[component::logit_scalar] == 1);
  index_type total = 0;
  for (const auto& [part, count] : counts) total += count;
  CHECK(total == 427'616'513);

  total = 0;
  const auto onevision = published::model("llava-onevision-7b");
  for (const auto& t : onevision.tensors) total += t.size();
  CHECK(total == 8'030'348'832);
}

TEST_CASE("architecture: layers that attend to the image", "[plan]") {
  const auto model = published::model("llama-3.2-11b-vision");
  CHECK(model.decoder.self_layers() == 32);
  CHECK(model.facts().cross_attention_layers ==
        std::vector<index_type>{3, 8, 13, 18, 23, 28, 33, 38});
  // Attention and MLP of 8 layers, their norms, query and key norms, gates.
  CHECK(parameters(model)[component::cross_attention] ==
        8 * (218'103'808 + 2 * 4096 + 2 * 128 + 2));
  CHECK(published::model("llama-3.2-90b-vision").decoder.self_layers() == 80);
}

TEST_CASE("architecture: the bundled models have the tensors of their configurations", "[plan]") {
#ifdef VQ_SOURCE_DIR
  for (const char* name : {"clip", "llava"}) {
    const std::filesystem::path folder =
        std::filesystem::path(VQ_SOURCE_DIR "/examples/models") / name;
    if (!std::filesystem::exists(folder)) continue;
    CAPTURE(name);
    std::ifstream stream(folder / "config.json");
    const auto model = vq::read_architecture(nlohmann::json::parse(stream), name);
    REQUIRE(model);
    const auto file = vq::safetensors_file::open(folder / "model.safetensors");
    REQUIRE(file);
    REQUIRE(model->tensors.size() == file->tensors().size());
    for (const auto& t : model->tensors) {
      CAPTURE(t.name);
      const auto* stored = file->find(t.name);
      REQUIRE(stored != nullptr);
      CHECK(t.shape == stored->shape);
      CHECK(t.type == stored->type);
    }
  }
#endif
}

TEST_CASE("architecture: no name twice, and each in a place that layouts know", "[plan]") {
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(published::path("x")).parent_path())) {
    CAPTURE(entry.path().stem().string());
    const auto model = published::model(entry.path().stem().string());
    std::vector<std::string> names;
    for (const auto& t : model.tensors) names.push_back(t.name);
    std::ranges::sort(names);
    CHECK(std::ranges::adjacent_find(names) == names.end());
  }
}

TEST_CASE("architecture: a configuration that is wrong is refused with its field", "[plan]") {
  const auto refusal = [](const char* path, const nlohmann::json& value) {
    nlohmann::json config = published::config("llava-1.5-7b");
    config[nlohmann::json::json_pointer(path)] = value;
    const auto model = vq::read_architecture(config, "config.json");
    return model ? "" : vq::describe(model.error());
  };
  CHECK(refusal("/text_config/hidden_size", "4096") ==
        "config.json: text_config: 'hidden_size' must be an integer from 1 to 1048576");
  CHECK(refusal("/text_config/num_hidden_layers", 0) ==
        "config.json: text_config: 'num_hidden_layers' must be an integer from 1 to 1000");
  CHECK(refusal("/text_config/num_key_value_heads", 5) ==
        "config.json: text_config: 'num_key_value_heads' does not divide 32 heads");
  CHECK(refusal("/text_config/model_type", "bloom")
            .starts_with("config.json: text_config: the decoder 'bloom' is unknown"));
  CHECK(refusal("/vision_config/image_size", 7).find("'image_size' must not be below") !=
        std::string::npos);
  CHECK(refusal("/vision_config", 3) == "config.json: vision_config: this is not a JSON object");
  CHECK(refusal("/model_type", "florence2")
            .starts_with("config.json: the model_type 'florence2' is unknown; known are clip,"));
  CHECK(refusal("/torch_dtype", "int8") ==
        "config.json: 'torch_dtype' must be float16, bfloat16 or float32");
  CHECK(refusal("/text_config/vocab_size", 100'000'000) == "");
  CHECK(refusal("/text_config/num_attention_heads", 5000).find("to 4096") != std::string::npos);
  CHECK(refusal("/text_config/vocab_size", nullptr) == "");  // the default of its class
  nlohmann::json huge = published::config("qwen2.5-vl-7b");
  huge["vision_config"]["spatial_merge_size"] = 64;
  huge["vision_config"]["hidden_size"] = 1 << 20;
  const auto refused = vq::read_architecture(huge, "f");
  REQUIRE_FALSE(refused);
  CHECK(vq::describe(refused.error()).find("of more than 2^50 bytes is not believed") !=
        std::string::npos);
  const auto text = vq::read_architecture(nlohmann::json("x"), "f");
  REQUIRE_FALSE(text);
  CHECK(vq::describe(text.error()) == "f: this is not a JSON object");
  CHECK_FALSE(vq::read_architecture(nlohmann::json::object(), "f"));
}

TEST_CASE("architecture: Qwen's decoder may stand in text_config", "[plan]") {
  nlohmann::json config = published::config("qwen2.5-vl-3b"), text = nlohmann::json::object();
  for (const char* field :
       {"hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers",
        "num_key_value_heads", "vocab_size", "tie_word_embeddings"}) {
    text[field] = config[field];
    config.erase(field);
  }
  config["text_config"] = text;
  const auto tensors = vq::expected_tensors(config, "f");
  REQUIRE(tensors);
  index_type total = 0;
  for (const auto& t : *tensors) total += t.size();
  CHECK(total == 3'754'622'976);
}
