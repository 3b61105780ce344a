// Whatever is wrong with a model or a data set is said in one sentence: file, tensor, rule.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <vq/io/atomic_file.hpp>
#include <vq/io/safetensors_reader.hpp>
#include <vq/io/safetensors_writer.hpp>

#include "engine/bundled.hpp"

namespace {

namespace fs = std::filesystem;

// A copy of the bundled ResNet-20 that is removed at the end of a test.
class damaged_model {
 public:
  damaged_model() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    folder_ = fs::temp_directory_path() / ("vq-test-engine-" + std::to_string(now));
    fs::create_directories(folder_);
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy_file(bundled::folder() / "resnet20" / name, folder_ / name);
    }
  }
  damaged_model(const damaged_model&) = delete;
  damaged_model& operator=(const damaged_model&) = delete;
  ~damaged_model() { fs::remove_all(folder_); }

  fs::path file(const char* name) const { return folder_ / name; }

  void write(const char* name, const std::string& content) const {
    REQUIRE(vq::write_file(file(name), content));
  }
  // Writes the tensors anew, each changed (or dropped) as `change(entry, values)` says.
  template <class Change>
  void rewrite_weights(Change change) const {
    const auto original = bundled::require(
        vq::safetensors_file::open(bundled::folder() / "resnet20/model.safetensors"));
    std::vector<std::vector<float>> values(original.tensors().size());
    vq::safetensors_writer out;
    for (std::size_t i = 0; i < values.size(); ++i) {
      vq::tensor_entry entry = original.tensors()[i];
      if (entry.type != vq::dtype::f32) continue;
      values[i] = *original.to_floats(entry.name);
      if (change(entry, values[i])) out.add(entry.name, entry.shape, values[i]);
    }
    REQUIRE(out.write(file("model.safetensors")));
  }

  // The sentence about it, without the folder.
  std::string complaint() const {
    const auto loaded = engine::load_model(folder_);
    REQUIRE(!loaded);
    const std::string text = vq::describe(loaded.error()), prefix = folder_.string() + "/";
    REQUIRE(text.starts_with(prefix));
    return text.substr(prefix.size());
  }

 private:
  fs::path folder_;
};

}  // namespace

TEST_CASE("a model that is complete loads", "[engine]") {
  const damaged_model untouched;
  REQUIRE(engine::load_model(untouched.file("").parent_path()));
}

TEST_CASE("missing files are named", "[engine]") {
  const damaged_model m;
  SECTION("weights") {
    fs::remove(m.file("model.safetensors"));
    REQUIRE(m.complaint() == "model.safetensors: there is no such file");
  }
  SECTION("configuration") {
    fs::remove(m.file("config.json"));
    REQUIRE(m.complaint() == "config.json: there is no such file");
  }
}

TEST_CASE("a truncated file is refused", "[engine]") {
  const damaged_model m;
  fs::resize_file(m.file("model.safetensors"), 1'000'000);
  REQUIRE(m.complaint().find("after the end of the data") != std::string::npos);
  fs::resize_file(m.file("model.safetensors"), 5);
  REQUIRE(m.complaint().find("fewer than the 8 of its header length") != std::string::npos);
}

TEST_CASE("a tensor that is missing, misshapen or not finite is named", "[engine]") {
  const damaged_model m;
  const std::string name = "layer2.0.conv1.weight";
  SECTION("missing") {
    m.rewrite_weights([&](vq::tensor_entry& t, std::vector<float>&) { return t.name != name; });
    REQUIRE(m.complaint() ==
            "model.safetensors: tensor 'layer2.0.conv1.weight': the file has no such tensor");
  }
  SECTION("another shape") {
    m.rewrite_weights([&](vq::tensor_entry& t, std::vector<float>&) {
      if (t.name == name) t.shape = {16, 32, 3, 3};
      return true;
    });
    REQUIRE(m.complaint() ==
            "model.safetensors: tensor 'layer2.0.conv1.weight': shape [16, 32, 3, 3] where "
            "[32, 16, 3, 3] is needed");
  }
  SECTION("NaN") {
    m.rewrite_weights([&](vq::tensor_entry& t, std::vector<float>& values) {
      if (t.name == name) values[7] = std::numeric_limits<float>::quiet_NaN();
      return true;
    });
    REQUIRE(m.complaint() ==
            "model.safetensors: tensor 'layer2.0.conv1.weight': the data contain NaN or infinity");
  }
  SECTION("infinite variance") {
    m.rewrite_weights([&](vq::tensor_entry& t, std::vector<float>& values) {
      if (t.name == "bn1.running_var") values[0] = std::numeric_limits<float>::infinity();
      return true;
    });
    REQUIRE(m.complaint() ==
            "model.safetensors: tensor 'bn1.running_var': the data contain NaN or infinity");
  }
  SECTION("negative variance") {
    m.rewrite_weights([&](vq::tensor_entry& t, std::vector<float>& values) {
      if (t.name == "bn1.running_var") values[0] = -1;
      return true;
    });
    REQUIRE(m.complaint() == "model.safetensors: tensor 'bn1.running_var': a variance is negative");
  }
}

TEST_CASE("a wrong configuration is refused by field", "[engine]") {
  const damaged_model m;
  const auto complaint_of = [&](const std::string& config) {
    m.write("config.json", config);
    return m.complaint();
  };
  const std::string images = R"("image_mean": [0, 0, 0], "image_std": [1, 1, 1])";
  REQUIRE(complaint_of("[]") == "config.json: this is not a JSON object");
  REQUIRE(complaint_of("{") == "config.json: this is not a JSON object");
  REQUIRE(complaint_of("{}") == "config.json: field 'arch': a text is needed");
  REQUIRE(complaint_of(R"({"arch": "resnet", "image_mean": [0, 0, 0], "image_std": [1, 0, 1]})") ==
          "config.json: field 'image_std': three positive numbers are needed");
  REQUIRE(complaint_of(R"({"arch": "vgg", )" + images + "}") ==
          "config.json: field 'arch': 'vgg' is none of 'resnet', 'mobilenetv2' and 'vit'");
  REQUIRE(complaint_of(R"({"arch": "resnet", "n": -3, )" + images + "}") ==
          "config.json: field 'n': an integer from 1 to 1000 is needed");
  REQUIRE(complaint_of(R"({"arch": "resnet", "n": 4, "width": 16, "image_size": 32,
                           "num_classes": 10, )" +
                       images + "}") ==
          "model.safetensors: tensor 'layer1.3.conv1.weight': the file has no such tensor");
}

TEST_CASE("images and labels must fit the model", "[engine]") {
  const damaged_model m;
  const auto model = bundled::model("resnet20");
  const auto file = m.file("images.safetensors");
  const auto complaint_of = [&](std::vector<vq::index_type> shape,
                                const std::vector<std::int32_t>& labels) {
    const std::vector<std::uint8_t> images(engine::at(engine::volume(shape)));
    vq::safetensors_writer out;
    out.add("images", std::move(shape), images);
    out.add("labels", {std::ssize(labels)}, labels);
    REQUIRE(out.write(file));
    const auto opened = engine::image_set::open(file, model);
    REQUIRE(!opened);
    const std::string text = vq::describe(opened.error());
    REQUIRE(text.starts_with(file.string() + ": "));
    return text.substr(file.string().size() + 2);
  };
  REQUIRE(complaint_of({0, 3, 32, 32}, {}) == "tensor 'images': it holds no image");
  REQUIRE(complaint_of({2, 3, 28, 28}, {0, 1}) ==
          "tensor 'images': shape [2, 3, 28, 28] where [images, 3, 32, 32] is needed");
  REQUIRE(complaint_of({2, 3, 32, 32}, {0}) == "tensor 'labels': 1 labels for 2 images");
  REQUIRE(complaint_of({2, 3, 32, 32}, {0, 10}) ==
          "tensor 'labels': the label 10 is none of the 10 classes");
}
