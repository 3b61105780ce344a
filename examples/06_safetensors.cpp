// Read a trained model without copying it, quantize a tensor, and write codes and scales to a file
// that other programs can open.
//   06_safetensors [model.safetensors [tensor]]
#include <cstdio>
#include <filesystem>
#include <string>

#include <vq/io.hpp>
#include <vq/tensor.hpp>

namespace {

int refuse(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path =
      argc > 1 ? argv[1] : VQ_SOURCE_DIR "/examples/models/resnet20/model.safetensors";
  const std::string name = argc > 2 ? argv[2] : "layer3.2.conv2.weight";

  // [read]
  auto file = vq::safetensors_file::open(path);
  if (!file) return refuse(vq::describe(file.error()));
  auto weight = file->view<float, 4>(name);  // where the file lies, checked, not copied
  if (!weight) return refuse(vq::describe(weight.error()));
  auto packed = vq::quantize(vq::quantizer<vq::uniform<8>, vq::per_channel<0>>{}, *weight);
  if (!packed) return refuse(name + ": " + vq::describe(packed.error()));
  // [/read]

  // [write]  under a temporary name first, then renamed: never half a file
  std::vector<float> scales;
  for (const vq::affine_param& p : packed->params()) scales.push_back(p.scale);
  const auto& shape = packed->extents();
  vq::safetensors_writer out;
  out.add(name, {shape.begin(), shape.end()}, packed->codes());
  out.add(name + ".scale", {shape[0]}, std::span(scales));
  out.set_metadata("format", "pt");
  const auto target = std::filesystem::temp_directory_path() / "vq_example.safetensors";
  const auto written = out.write(target);
  if (!written) return refuse(vq::describe(written.error()));
  // [/write]

  std::printf("%s: %td values, %llu bytes written\n", name.c_str(), packed->size(),
              static_cast<unsigned long long>(*written));
  return 0;
}
