#include "conversion.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

#include <vq/io/atomic_file.hpp>
#include <vq/io/mapped_file.hpp>
#include <vq/io/safetensors_reader.hpp>
#include <vq/io/shard_index.hpp>

#include "demo/progress.hpp"
#include "engine/parallel.hpp"
#include "table.hpp"

namespace tool {

namespace fs = std::filesystem;

namespace {

constexpr const char* fingerprint_key = "vq_fingerprint";
constexpr const char* index_name = "model.safetensors.index.json";

vq::failure refuse(const fs::path& path, std::string_view rule,
                   vq::status code = vq::status::io_error) {
  return {code, vq::sentence(path.string(), ": ", rule)};
}

// FNV-1a of 64 bits: tells runs apart, withstands no forger.
class hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix(0xff);  // ends the text: no UTF-8 has this byte
  }
  void add(std::span<const std::byte> bytes) { add(vq::as_text(bytes)); }
  std::string text() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(state_));
    return digits;
  }

 private:
  void mix(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001b3u; }
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

struct shard_plan {
  std::string file;
  std::vector<const conversion_item*> items;
  std::uint64_t bytes = 0;  // at most
  std::uint64_t source_bytes = 0;
  std::string fingerprint;
};

// Of everything that decides the bytes of a shard. Of the source values a sample is taken, the first
// and the last bytes of each tensor: enough to notice that the model was trained further.
std::string fingerprint_of(const shard_plan& shard, const conversion& work) {
  constexpr std::size_t sample = 4096;
  hash all;
  all.add("1");  // of this layout of shards
  all.add(shard.file);
  for (const auto& [key, value] : work.metadata) {
    all.add(key);
    all.add(value);
  }
  for (const conversion_item* item : shard.items) {
    all.add(item->format);
    for (const vq::checkpoint_tensor* source : item->sources) {
      const auto bytes = source->bytes;
      all.add(source->name);
      all.add(vq::name_of(source->type));
      all.add(vq::spelled(source->shape));
      all.add(bytes.first(std::min(sample, bytes.size())));
      all.add(bytes.last(std::min(sample, bytes.size())));
    }
    for (const auto* list : {&item->outputs, &item->late}) {
      for (const vq::tensor_info& t : *list) all.add(t.name + vq::spelled(t.shape));
    }
  }
  return all.text();
}

std::vector<shard_plan> plan(const conversion& work, std::uint64_t limit) {
  std::vector<std::vector<vq::tensor_info>> groups;
  for (const conversion_item& item : work.items) {
    groups.push_back(item.outputs);
    groups.back().insert(groups.back().end(), item.late.begin(), item.late.end());
  }
  std::vector<shard_plan> shards;
  std::size_t next = 0;
  for (const vq::planned_shard& planned :
       vq::plan_shards(std::span<const std::vector<vq::tensor_info>>(groups), limit)) {
    shard_plan& shard = shards.emplace_back();
    shard.file = planned.file;
    shard.bytes = planned.bytes;
    for (std::size_t tensors = 0; tensors < planned.tensors.size(); ++next) {
      const conversion_item& item = work.items[next];
      shard.items.push_back(&item);
      for (const auto* source : item.sources) shard.source_bytes += source->bytes.size();
      tensors += groups[next].size();
    }
    shard.fingerprint = fingerprint_of(shard, work);
  }
  return shards;
}

// Whether a shard lies there complete: a safetensors file that this very plan would make.
bool is_finished(const fs::path& folder, const shard_plan& shard) {
  const auto file = vq::safetensors_file::open(folder / shard.file);
  if (!file) return false;
  const auto found = file->metadata().find(fingerprint_key);
  return found != file->metadata().end() && found->second == shard.fingerprint;
}

// Fills one shard.
std::optional<vq::failure> write_shard(const shard_plan& shard, const fs::path& folder,
                                       const conversion& work, int jobs, const context& c,
                                       demo::progress& bar) {
  std::vector<vq::tensor_info> tensors, late;
  for (const conversion_item* item : shard.items) {
    tensors.insert(tensors.end(), item->outputs.begin(), item->outputs.end());
    late.insert(late.end(), item->late.begin(), item->late.end());
  }
  auto metadata = work.metadata;
  metadata[fingerprint_key] = shard.fingerprint;
  auto out = vq::safetensors_stream::create(folder / shard.file, tensors, metadata, late);
  if (!out) return out.error();
  const write_bytes write = [&out](std::string_view name, std::span<const std::byte> bytes) {
    return out->write(name, bytes);
  };

  std::mutex mutex;
  std::optional<vq::failure> wrong;
  std::atomic<bool> failed = false;
  engine::parallel_for{jobs}(
      static_cast<index_type>(shard.items.size()), [&](index_type i, index_type) {
        if (failed || c.stopped()) return;
        const conversion_item& item = *shard.items[static_cast<std::size_t>(i)];
        auto error = work.make(item, write);
        for (const auto* source : item.sources) {
          work.source->drop_pages(*source);
          bar(static_cast<index_type>(source->bytes.size()));
        }
        if (!error) return;
        const std::lock_guard lock(mutex);
        if (!wrong) wrong.emplace(*std::move(error));
        failed = true;
      });
  if (wrong) return wrong;
  if (c.stopped()) return vq::failure{vq::status::io_error, "stopped"};
  const auto committed = out->commit();
  if (!committed) return committed.error();
  return std::nullopt;
}

// The weights of other formats and the shards' own files are no small files of the model.
bool is_copied(const fs::directory_entry& entry) {
  constexpr std::string_view weights[] = {".safetensors", ".bin",  ".pt", ".pth", ".ckpt",
                                          ".gguf",        ".onnx", ".h5", ".npz", ".msgpack",
                                          ".tflite",      ".ot",   ".tmp"};
  constexpr std::uintmax_t small = 200'000'000;
  std::error_code error;
  const std::string name = entry.path().filename().string();
  if (!entry.is_regular_file(error) || error || name == "config.json") return false;
  if (name.ends_with(".index.json") || name.starts_with(".")) return false;
  return std::find(std::begin(weights), std::end(weights), entry.path().extension().string()) ==
             std::end(weights) &&
         entry.file_size(error) <= small && !error;
}

// config.json, the index and the small files of the source; takes away what else is there.
std::optional<vq::failure> complete_folder(const conversion& work, const fs::path& folder,
                                           const std::vector<shard_plan>& shards,
                                           conversion_summary& summary) {
  std::set<std::string> expected;
  vq::shard_index index;
  index.total_size = 0;
  for (const shard_plan& shard : shards) {
    const auto file = vq::safetensors_file::open(folder / shard.file);
    if (!file) return file.error();
    expected.insert(shard.file);
    for (const vq::tensor_entry& tensor : file->tensors()) {
      index.shard_of.emplace(tensor.name, shard.file);
      *index.total_size += tensor.stored_bytes();
    }
  }
  if (shards.size() > 1) {
    const auto written = vq::write_shard_index(folder / index_name, index);
    if (!written) return written.error();
    expected.insert(index_name);
  }
  if (work.config) {
    const auto written =
        vq::write_file(folder / "config.json", work.config->dump(2, ' ', false) + "\n");
    if (!written) return written.error();
    expected.insert("config.json");
  }
  std::error_code error;
  // A single file has no folder of its own: what lies beside it may belong to anything.
  if (fs::is_directory(work.source->name(), error)) {
    for (const auto& entry : fs::directory_iterator(work.source->folder(), error)) {
      if (!is_copied(entry)) continue;
      const std::string name = entry.path().filename().string();
      const auto file = vq::mapped_file::open(entry.path());
      if (!file) return file.error();
      const auto copied = vq::write_file(folder / name, vq::as_text(file->bytes()));
      if (!copied) return copied.error();
      expected.insert(name);
      summary.copied.push_back(name);
    }
    std::sort(summary.copied.begin(), summary.copied.end());
  }
  std::vector<fs::path> strays;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!expected.contains(entry.path().filename().string())) strays.push_back(entry.path());
  }
  for (const fs::path& stray : strays) fs::remove(stray, error);
  return std::nullopt;
}

std::string marker_name(const part& p) {
  return vq::sentence("part-", p.number, "-of-", p.of, ".done");
}

// Which parts of how many have reported, from their markers.
std::string missing_parts(const fs::path& folder, const std::vector<shard_plan>& shards,
                          const std::vector<std::string>& missing) {
  index_type of = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const std::size_t at = name.find("-of-");
    if (!name.starts_with("part-") || !name.ends_with(".done") || at == std::string::npos) continue;
    std::from_chars(name.data() + at + 4, name.data() + name.size(), of);
  }
  if (of < 1) return "run: vq quantize with --part, or without --finish";
  std::set<index_type> parts;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (std::find(missing.begin(), missing.end(), shards[i].file) != missing.end()) {
      parts.insert(static_cast<index_type>(i) % of + 1);
    }
  }
  std::string text;
  for (const index_type p : parts) {
    text += vq::sentence(text.empty() ? "not finished: --part " : ", ", p, "/", of);
  }
  return text;
}

}  // namespace

void add_conversion_options(CLI::App& sub, conversion_options& options) {
  options.jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  sub.add_option("--jobs,-j", options.jobs, "Threads; each has one tensor in memory")
      ->check(CLI::Range(1, 1024));
  sub.add_option("--shard-size", options.shard_bytes, "Largest size of a file")
      ->transform(CLI::AsSizeValue(true))
      ->default_str("4GB");
}

vq::result<part, vq::failure> parse_part(const std::string& text) {
  part p;
  const char* end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, p.number);
  if (number.ec == std::errc() && number.ptr != end && *number.ptr == '/') {
    const auto of = std::from_chars(number.ptr + 1, end, p.of);
    if (of.ec == std::errc() && of.ptr == end && p.number >= 1 && p.number <= p.of) return p;
  }
  return vq::failure{vq::status::bad_argument, vq::sentence("--part ", vq::in_quotes(text),
                                                            ": must be K/N with 1 <= K <= N")};
}

std::optional<vq::failure> check_destination(const fs::path& destination) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(destination, error))) {
    return refuse(destination, "exists already; name a folder that does not",
                  vq::status::bad_argument);
  }
  const fs::path parent = destination.has_parent_path() ? destination.parent_path() : ".";
  if (!fs::is_directory(parent, error)) {
    return refuse(parent, "there is no such folder to put the new one into", vq::status::not_found);
  }
  return std::nullopt;
}

vq::result<conversion_summary, vq::failure> convert(const conversion& work,
                                                    const conversion_options& options,
                                                    const context& c) {
  const auto start = std::chrono::steady_clock::now();
  fs::path destination = work.destination.lexically_normal();
  if (!destination.has_filename()) destination = destination.parent_path();
  if (auto wrong = check_destination(destination)) return *std::move(wrong);
  fs::path folder = destination;
  folder += ".partial";

  const std::vector<shard_plan> shards = plan(work, options.shard_bytes);
  conversion_summary summary;
  std::vector<const shard_plan*> remaining;
  std::vector<std::string> missing;
  std::uint64_t bytes_to_write = 0, bytes_to_read = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const bool kept = is_finished(folder, shards[i]);
    const bool chosen = !options.share ||
                        static_cast<index_type>(i) % options.share->of + 1 == options.share->number;
    summary.shards.push_back({shards[i].file, shards[i].bytes, kept, chosen});
    if (!kept) missing.push_back(shards[i].file);
    if (kept || !chosen) continue;
    remaining.push_back(&shards[i]);
    bytes_to_write += shards[i].bytes;
    bytes_to_read += shards[i].source_bytes;
  }
  if (options.finish && !missing.empty()) {
    return refuse(folder,
                  vq::sentence("lacks ", missing.front(), missing.size() > 1 ? " and " : "",
                               missing.size() > 1 ? std::to_string(missing.size() - 1) + " more"
                                                  : std::string(),
                               " of ", shards.size(), " shards, as these options make them; ",
                               missing_parts(folder, shards, missing)),
                  vq::status::not_found);
  }

  std::error_code error;
  const bool existed = fs::exists(folder, error);
  fs::create_directory(folder, error);
  if (error) return refuse(folder, "cannot be created: " + error.message());
  const auto abandon = [&](vq::failure wrong) {
    if (!existed) fs::remove(folder, error);  // does nothing where a shard is finished
    if (fs::exists(folder, error)) {
      std::size_t finished = 0;
      for (const shard_plan& shard : shards) finished += is_finished(folder, shard);
      wrong.message +=
          vq::sentence("; ", finished, " of ", shards.size(), " shards are finished in ",
                       folder.string(), ", and the same command goes on from there");
    }
    return wrong;
  };
  const auto space = fs::space(folder, error);
  if (!error && space.available < bytes_to_write) {
    return abandon(
        refuse(folder, vq::sentence("the disk has ", size_text(space.available), " left, and ",
                                    size_text(bytes_to_write), " are to be written")));
  }

  {
    demo::progress bar("converting", c.progress ? static_cast<index_type>(bytes_to_read) : 0);
    for (const shard_plan* shard : remaining) {
      if (auto wrong = write_shard(*shard, folder, work, options.jobs, c, bar)) {
        return abandon(*std::move(wrong));
      }
      summary.source_bytes += shard->source_bytes;
    }
  }
  if (options.share) {
    if (const auto marked = vq::write_file(folder / marker_name(*options.share), ""); !marked) {
      return marked.error();
    }
    if (static_cast<index_type>(shards.size()) < options.share->of) {
      summary.warnings.push_back(
          vq::sentence("the model fills ", shards.size(), " shards, so that only as many of ",
                       options.share->of, " parts have work; a smaller --shard-size makes more"));
    }
  } else {
    if (auto wrong = complete_folder(work, folder, shards, summary))
      return abandon(*std::move(wrong));
    if (auto wrong = check_destination(destination)) return abandon(*std::move(wrong));
    fs::rename(folder, destination, error);
    if (error) return refuse(destination, "cannot be named: " + error.message());
    summary.complete = true;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  summary.seconds = took.count();
  return summary;
}

void add_summary(const conversion_summary& summary, const conversion& work, report& to) {
  std::uint64_t written = 0;
  std::size_t made = 0, kept = 0;
  for (const auto& shard : summary.shards) {
    if (!shard.chosen) continue;
    made += !shard.kept;
    kept += shard.kept;
    written += shard.kept ? 0 : shard.bytes;
  }
  const double gigabytes = static_cast<double>(summary.source_bytes) / 1e9;
  const double rate = summary.seconds > 0 ? gigabytes / summary.seconds : 0;
  to.text += vq::sentence(work.destination.string(), summary.complete ? "" : ".partial", ": ", made,
                          made == 1 ? " shard" : " shards", " written, ", size_text(written),
                          ", from ", size_text(summary.source_bytes), " in ",
                          number_text(summary.seconds, 1), " s (", number_text(rate, 2),
                          " GB/s of the source, peak memory ", size_text(peak_memory()), ")\n");
  if (kept > 0) {
    to.text += vq::sentence(kept, kept == 1 ? " shard was" : " shards were",
                            " finished by an earlier run and kept\n");
  }
  if (!summary.complete) to.text += "when all parts are done: the same command with --finish\n";
  to.warnings.insert(to.warnings.end(), summary.warnings.begin(), summary.warnings.end());

  auto& json = to.json;
  json["destination"] = work.destination.string();
  json["complete"] = summary.complete;
  json["seconds"] = summary.seconds;
  json["source_bytes"] = summary.source_bytes;
  json["source_gb_per_second"] = rate;
  json["peak_memory_bytes"] = peak_memory();
  json["shards"] = nlohmann::ordered_json::array();
  for (const auto& shard : summary.shards) {
    json["shards"].push_back({{"file", shard.file},
                              {"bytes", shard.bytes},
                              {"kept", shard.kept},
                              {"in_this_part", shard.chosen}});
  }
  json["copied"] = summary.copied;
}

std::uint64_t peak_memory() {
#if defined(__unix__) || defined(__APPLE__)
  struct ::rusage usage {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
#else
  return 0;
#endif
}

}  // namespace tool
