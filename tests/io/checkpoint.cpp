// Checkpoints in one file, in a folder, and in shards; and what is wrong with them.
#include <filesystem>
#include <string>
#include <vector>

#include <vq/io/checkpoint.hpp>
#include <vq/io/safetensors_writer.hpp>

#include "catch.hpp"
#include "io/files.hpp"

#if defined(__linux__)
#include <fstream>
#include <unistd.h>
#endif

namespace {

using names = std::vector<std::string>;

std::string message(const vq::result<vq::checkpoint, vq::failure>& r) {
  return r ? "no failure" : vq::describe(r.error());
}

void write_shard(const std::filesystem::path& path, const names& tensors, float first) {
  std::vector<std::vector<float>> values;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    values.push_back({first + static_cast<float>(i), 0.5f});
  }
  vq::safetensors_writer out;
  for (std::size_t i = 0; i < tensors.size(); ++i) out.add(tensors[i], {2}, values[i]);
  out.set_metadata("format", "pt");
  REQUIRE(out.write(path));
}

// a and c in the first shard, b in the second.
void write_sharded(const files::folder& folder, const std::string& metadata = "{}",
                   const std::string& shard_of_b = "s-2.safetensors") {
  write_shard(folder / "s-1.safetensors", {"a", "c"}, 1);
  write_shard(folder / "s-2.safetensors", {"b"}, 7);
  files::write(folder / "model.safetensors.index.json",
               R"({"metadata": )" + metadata +
                   R"(, "weight_map": {"a": "s-1.safetensors", "b": ")" + shard_of_b +
                   R"(", "c": "s-1.safetensors"}})");
}

}  // namespace

TEST_CASE("checkpoint: one file, by its own name or by its folder's", "[io]") {
  const files::folder folder;
  write_shard(folder / "model.safetensors", {"w", "bias"}, 3);
  files::write(folder / "config.json", R"({"model_type": "vit"})");
  for (const auto& path : {folder / "", folder / "model.safetensors"}) {
    const auto model = vq::checkpoint::open(path);
    REQUIRE(model);
    CHECK_FALSE(model->is_sharded());
    CHECK(model->shard_names().size() == 1);
    CHECK(model->shard_names()[0] == "model.safetensors");
    CHECK(model->metadata().at("format") == "pt");
    CHECK(model->warnings().empty());
    REQUIRE(model->tensors().size() == 2);
    CHECK(model->tensors()[0].name == "bias");
    CHECK(model->stored_bytes() == 16);
    CHECK(model->to_floats("w").value() == std::vector<float>{3, 0.5f});
    CHECK(model->bytes("w")->size() == 8);
    CHECK(model->find("v") == nullptr);
    CHECK(vq::describe(model->get("v").error()) ==
          path.string() + ": tensor 'v': the checkpoint has no such tensor");
    REQUIRE(model->config());
    CHECK(model->config()->at("model_type") == "vit");
  }
}

TEST_CASE("checkpoint: the shards of an index are one model", "[io]") {
  const files::folder folder;
  write_sharded(folder, R"({"total_size": 24})");
  for (const auto& path : {folder / "", folder / "model.safetensors.index.json"}) {
    auto opened = vq::checkpoint::open(path);
    REQUIRE(opened);
    const vq::checkpoint model = std::move(*opened);  // moving keeps the bytes
    CHECK(model.is_sharded());
    CHECK(model.warnings().empty());
    CHECK(model.config().error().code == vq::status::not_found);
    names order;
    for (const vq::checkpoint_tensor& t : model.tensors()) {
      order.push_back(t.name);
      CHECK(model.find(t.name) == &t);
      CHECK(t.size() == 2);
    }
    CHECK(order == names{"a", "c", "b"});
    CHECK(model.find("b")->shard == 1);
    CHECK(model.shard_names()[1] == "s-2.safetensors");
    for (int round = 0; round < 2; ++round) {  // dropped pages come back
      CHECK(model.to_floats("c").value() == std::vector<float>{2, 0.5f});
      CHECK(model.to_floats("b").value() == std::vector<float>{7, 0.5f});
      for (const vq::checkpoint_tensor& t : model.tensors()) model.drop_pages(t);
    }
  }
}

TEST_CASE("checkpoint: what is odd is a warning", "[io]") {
  const files::folder folder;
  const std::string index = (folder / "model.safetensors.index.json").string();
  write_sharded(folder, R"({"total_size": 25})");
  write_shard(folder / "s-2.safetensors", {"b", "extra"}, 7);
  const auto model = vq::checkpoint::open(folder / "");
  REQUIRE(model);
  REQUIRE(model->warnings().size() == 2);
  CHECK(model->warnings()[0] == (folder / "s-2.safetensors").string() +
                                    ": 1 tensor is left out, because the index does not map them "
                                    "to this shard");
  CHECK(model->warnings()[1] == index + ": total_size is 25, but the tensors have 24 bytes");
  CHECK(model->find("extra") == nullptr);

  write_shard(folder / "model.safetensors", {"w"}, 0);
  const auto both = vq::checkpoint::open(folder / "");
  REQUIRE(both);
  CHECK(both->tensors().size() == 1);
  CHECK(both->warnings().size() == 1);
}

TEST_CASE("checkpoint: what is missing or wrong is a sentence", "[io]") {
  const files::folder folder;
  const std::string index = (folder / "model.safetensors.index.json").string();
  const std::string place = (folder / "").string();
  CHECK(message(vq::checkpoint::open(folder / "")) ==
        place + ": holds neither model.safetensors nor model.safetensors.index.json");
  CHECK(message(vq::checkpoint::open(folder / "no")) ==
        (folder / "no").string() + ": there is no such file");

  write_sharded(folder);
  std::filesystem::remove(folder / "s-2.safetensors");
  const auto missing = vq::checkpoint::open(folder / "");
  CHECK(missing.error().code == vq::status::not_found);
  CHECK(message(missing) == index + ": the shard 's-2.safetensors' is not in the folder");

  write_sharded(folder, "{}", "s-1.safetensors");
  CHECK(message(vq::checkpoint::open(folder / "")) ==
        index + ": tensor 'b': the shard 's-1.safetensors' does not hold it");

  write_sharded(folder);
  files::write(folder / "s-1.safetensors", "short");
  CHECK(message(vq::checkpoint::open(folder / "")) ==
        (folder / "s-1.safetensors").string() +
            ": the file has 5 bytes, fewer than the 8 of its header length");

  write_sharded(folder);
  files::write(folder / "config.json", R"({"a": 1, "a": 2})");
  const auto model = vq::checkpoint::open(folder / "");
  REQUIRE(model);
  CHECK(model->config().error().code == vq::status::bad_format);
  CHECK(vq::describe(model->config().error()) ==
        (folder / "config.json").string() + ": 'a' occurs twice");
}

#if defined(__linux__)
TEST_CASE("checkpoint: memory stays that of one tensor when pages are dropped", "[io]") {
  const auto resident_bytes = [] {
    std::ifstream stream("/proc/self/statm");
    std::size_t total = 0, resident = 0;
    stream >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  };
  const files::folder folder;
  constexpr std::size_t megabyte = 1 << 20, count = 32;
  {
    const std::vector<float> values(megabyte / 4, 1.f);
    vq::safetensors_writer out;
    for (std::size_t i = 0; i < count; ++i) {
      out.add("t" + std::to_string(i), {vq::index_type{megabyte / 4}}, values);
    }
    REQUIRE(out.write(folder / "model.safetensors"));
  }
  const auto model = vq::checkpoint::open(folder / "");
  REQUIRE(model);
  const std::size_t before = resident_bytes();
  std::size_t most = before;
  unsigned sum = 0;
  for (const vq::checkpoint_tensor& t : model->tensors()) {
    for (const std::byte b : t.bytes) sum += std::to_integer<unsigned>(b);
    most = (std::max)(most, resident_bytes());
    model->drop_pages(t);
  }
  CHECK(sum == count * (megabyte / 4) * (0x80 + 0x3f));  // 1.f is 00 00 80 3f
  CHECK(most - before < 8 * megabyte);
}
#endif
