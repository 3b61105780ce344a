#include "engine/sensitivity/opened_subject.hpp"

#include <utility>

#include <vq/io/safetensors_reader.hpp>

#include "engine/graph_passes.hpp"
#include "engine/model.hpp"
#include "engine/model_config.hpp"
#include "engine/sensitivity/graph_subject.hpp"
#include "engine/sensitivity/language_subject.hpp"
#include "engine/sensitivity/proxy_subject.hpp"

namespace engine {
namespace {

std::filesystem::path or_beside(const std::filesystem::path& given,
                                const std::filesystem::path& folder, const char* name) {
  return given.empty() ? folder / ".." / "data" / name : given;
}

vq::failure not_for(const std::filesystem::path& folder, const char* why) {
  return {vq::status::bad_argument, vq::sentence(folder.string(), ": ", why)};
}

vq::result<opened_subject, vq::failure> open_graph(const std::filesystem::path& folder,
                                                   const subject_request& request) {
  const auto m = load_model(folder);
  if (!m) return m.error();
  const auto data = or_beside(request.data, folder, "cifar10-calib.safetensors");
  const auto images = image_set::open(data, *m);
  if (!images) return images.error();
  auto folded = fold_batch_norms(m->network);
  if (!folded) return folded.error();

  opened_subject opened{nullptr, m->name, data, {}};
  if (request.estimate) {
    if (request.inputs) return not_for(folder, "weights are what can be estimated, not inputs");
    opened.model = make_proxy_subject(folded->network, *images,
                                      {.kind = *request.estimate,
                                       .images = request.items,
                                       .subsets = request.subsets,
                                       .run = {request.threads}});
    return opened;
  }

  graph_subject_options options;
  if (request.inputs) options.part = graph_subject_options::quantized::inputs;
  options.images = request.items;
  options.subsets = request.subsets;
  options.run.threads = request.threads;
  if (!request.restart) options.most_floats_at_cut = 0;
  auto made = graph_subject::make(fuse_activations(std::move(folded->network)), *images,
                                  std::move(options));
  if (!made) return made.error();
  opened.model = std::make_unique<graph_subject>(*std::move(made));
  return opened;
}

// Whether config.json says so; what is wrong with it is said by who reads it next.
bool reads_text(const std::filesystem::path& folder) {
  auto config = model_config::open(folder / "config.json");
  return config && config->contains("model_type") && config->text("model_type") == "llava";
}

// The questions' images lie beside them: mosaic-calib.safetensors, cifar10-calib.safetensors.
vq::result<opened_subject, vq::failure> open_language(const std::filesystem::path& folder,
                                                      const subject_request& request) {
  if (request.inputs) {
    return not_for(folder, "inputs of layers are quantized in CNNs and ViTs only");
  }
  if (request.estimate) return not_for(folder, "estimates are for CNNs and ViTs only");
  const auto data = or_beside(request.data, folder, "mosaic-calib.safetensors");
  std::string images = data.filename().string();
  if (images.starts_with("mosaic-")) images.replace(0, 7, "cifar10-");
  auto made = open_language_subject(folder, {.questions = data,
                                             .images = data.parent_path() / images,
                                             .items = request.items,
                                             .subsets = request.subsets,
                                             .threads = request.threads});
  if (!made) return made.error();
  return opened_subject{
      *std::move(made), std::filesystem::path(folder).filename().string(), data, {}};
}

}  // namespace

std::vector<std::string> usual_formats(bool inputs) {
  if (inputs) return {"uint8-tensor", "uint6-tensor", "uint4-tensor"};
  return {"int8-channel", "int6-channel", "int5-channel",     "int4-channel",
          "int3-channel", "int2-channel", "int4-group32",     "int4-group64",
          "int3-group32", "int3-group64", "nf4-block64-dq256"};
}

std::filesystem::path test_data(const std::filesystem::path& folder) {
  const char* name = reads_text(folder) ? "mosaic-test.safetensors" : "cifar10-test.safetensors";
  return or_beside({}, folder, name);
}

vq::result<opened_subject, vq::failure> open_subject(const std::filesystem::path& folder,
                                                     const subject_request& request) {
  auto opened = reads_text(folder) ? open_language(folder, request) : open_graph(folder, request);
  if (!opened) return opened;
  const auto file = vq::safetensors_file::open(folder / "model.safetensors");
  if (!file) return file.error();
  for (const auto& t : file->tensors()) opened->tensors.push_back(t);
  opened->about = {
      {"model", opened->name},
      {"data", opened->data.filename().string()},
      {"items", std::to_string(opened->model->items())},
      {"subsets", std::to_string(request.subsets)},
      {"measure", request.estimate
                      ? describe(*request.estimate)
                      : "KL of the outputs to those of the float model, mean of each subset"},
      {"quantized", request.inputs ? "inputs of layers; weights stay in floats"
                                   : "weights, simulated; activations stay in floats"}};
  if (request.estimate) {
    opened->about["proxy"] = proxy_names[static_cast<std::size_t>(*request.estimate)];
  }
  return opened;
}

}  // namespace engine
