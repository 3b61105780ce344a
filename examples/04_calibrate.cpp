// Calibrate an activation: batches go through an observer, shards that were observed apart merge,
// and the ranges leave for TensorRT and for a table.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>
#include <vector>

#include <vq/calibrate.hpp>
#include <vq/io.hpp>

namespace {

// A batch of activations: half-normal with a rare outlier, as after ReLU.
std::vector<float> batch(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(10'000);
  for (float& value : x) value = std::max(0.f, normal(random));
  x[seed] = 40;
  return x;
}

int refuse(const char* what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what, why);
  return 1;
}

}  // namespace

int main() {
  // [observe]
  vq::histogram_observer seen, shard;  // 64 KiB each, however many batches there are
  for (unsigned i = 0; i < 8; ++i) {
    const std::vector<float> x = batch(i);
    const vq::tensor_view<const float, 1> view{x.data(), {10'000}};
    const vq::status s = (i < 4 ? seen : shard).observe(view);
    if (s != vq::status::ok) return refuse("observe", vq::describe(s));
  }
  if (seen.merge(shard) != vq::status::ok) return 1;  // as if one observer had seen everything
  // [/observe]

  // [estimate]
  const vq::uniform<8, vq::asymmetric> int8;
  const auto widest = vq::estimate_params(int8, seen, vq::minmax{});
  const auto best = vq::estimate_params(int8, seen, vq::mse{});
  const auto cut = vq::estimate_params(int8, seen, vq::percentile{99.9});
  // [/estimate]
  if (!widest || !best || !cut) return refuse("estimate", "the observer has seen nothing");
  std::printf("one step of the grid: %.4f min-max, %.4f mse, %.4f percentile 99.9\n", widest->scale,
              best->scale, cut->scale);

  const auto folder = std::filesystem::temp_directory_path();
  vq::tensorrt_cache cache;
  cache.set_absmax("relu1", 255 * cut->scale);
  const auto written = vq::write_tensorrt_cache(folder / "vq_example.cache", cache);
  if (!written) return refuse("write", vq::describe(written.error()).c_str());
  vq::calibration_table table;
  table["relu1"] = {{0, 255 * cut->scale}, cut->scale, cut->zero_point};
  const auto saved = vq::write_calibration_table(folder / "vq_example.json", table);
  if (!saved) return refuse("write", vq::describe(saved.error()).c_str());
  return cut->scale < best->scale && best->scale <= widest->scale ? 0 : 1;
}
