// Bytes and limits of the cache, as published caches and TensorRT's documentation have them.
#include <limits>
#include <string>

#include <vq/io/tensorrt_cache.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

std::string text_of(const vq::tensorrt_cache& cache) {
  const auto text = vq::format_tensorrt_cache(cache, "c");
  return text ? *text : "refused: " + vq::describe(text.error());
}
std::string refusal(std::string_view text) {
  const auto cache = vq::parse_tensorrt_cache(text, "c");
  return cache ? "" : vq::describe(cache.error());
}
std::string line(float absmax) {
  vq::tensorrt_cache cache;
  cache.set_absmax("x", absmax);
  return text_of(cache).substr(std::string("TRT-8601-EntropyCalibration2\n").size());
}

}  // namespace

TEST_CASE("tensorrt_cache: scales are written as the digits of absmax / 127", "[io]") {
  CHECK(line(1.0f) == "x: 3c010204\n");
  CHECK(line(2.5f) == "x: 3ca14285\n");
  CHECK(line(6.0f) == "x: 3d418306\n");
  CHECK(line(1e-37f) == "x: 000892f5\n");  // a subnormal scale: 561909 * 2^-149
}

TEST_CASE("tensorrt_cache: scales of published caches are read", "[io]") {
  const auto cache =
      vq::parse_tensorrt_cache("TRT-100300-EntropyCalibration2\na: 3c008912\nb: 3c88edfc\n", "c");
  REQUIRE(cache);
  CHECK(cache->version == 100300);
  CHECK(cache->version == vq::tensorrt_version(10, 3, 0));
  CHECK(cache->algorithm == vq::tensorrt_algorithm::entropy_2);
  CHECK(cache->scales.at("a") == 0.0078451801f);
  CHECK(cache->scales.at("b") == 0.016715042f);
  CHECK(cache->scales.at("a") * 127 == Approx(0.99633788));
  CHECK(cache->scales.at("b") * 127 == Approx(2.1228104));
}

TEST_CASE("tensorrt_cache: versions have five or six digits from 10 on", "[io]") {
  CHECK(vq::tensorrt_version(7, 0, 0) == 7000);
  CHECK(vq::tensorrt_version(8, 2, 5) == 8205);
  CHECK(vq::tensorrt_version(8, 6, 2) == 8602);
  CHECK(vq::tensorrt_version(10, 3, 0) == 100300);
}

TEST_CASE("tensorrt_cache: what is written is read back, bit for bit", "[io]") {
  const files::folder folder;
  vq::tensorrt_cache cache{.version = 8602, .algorithm = vq::tensorrt_algorithm::min_max};
  cache.scales = {{"(Unnamed Layer* 48) [Constant]_output", 0.1f},
                  {"onnx::Conv_329", std::numeric_limits<float>::min()},
                  {"a: b: c", std::numeric_limits<float>::denorm_min()},
                  {"/features/0: ", std::numeric_limits<float>::max()}};
  const auto size = vq::write_tensorrt_cache(folder / "cache", cache);
  REQUIRE(size);
  const std::string text = files::read(folder / "cache");
  CHECK(*size == text.size());
  CHECK(text.starts_with("TRT-8602-MinMaxCalibration\n"));
  CHECK(text.find("a: b: c: 00000001\n") != std::string::npos);
  const auto read = vq::read_tensorrt_cache(folder / "cache");
  REQUIRE(read);
  CHECK(read->version == cache.version);
  CHECK(read->algorithm == cache.algorithm);
  CHECK(read->scales == cache.scales);
  for (const auto& [algorithm, name] : vq::tensorrt_algorithms) {
    cache.algorithm = algorithm;
    CHECK(text_of(cache).starts_with("TRT-8602-" + std::string(name) + "\n"));
    CHECK(vq::parse_tensorrt_cache(text_of(cache), "c")->algorithm == algorithm);
  }
}

TEST_CASE("tensorrt_cache: line ends, case, short numbers and order do not matter", "[io]") {
  const auto cache = vq::parse_tensorrt_cache(
      "TRT-7000-LegacyCalibration\r\nz: 3C010204\r\n\r\ny: 1\r\na: 0003c010", "c");
  REQUIRE(cache);
  CHECK(cache->scales.size() == 3);
  CHECK(cache->scales.at("z") == 1.f / 127.f);
  CHECK(cache->scales.at("y") == std::numeric_limits<float>::denorm_min());
  CHECK(vq::parse_tensorrt_cache("TRT-7000-EntropyCalibration", "c")->scales.empty());
}

TEST_CASE("tensorrt_cache: a malformed cache is refused with its line", "[io]") {
  const std::string header = "TRT-8602-EntropyCalibration2\n";
  CHECK(refusal("") == "c: line 1: the header must be TRT-<version>-<algorithm>");
  CHECK(refusal("TRT-8602") == "c: line 1: the header must be TRT-<version>-<algorithm>");
  CHECK(refusal("trt-1-EntropyCalibration2") ==
        "c: line 1: the header must be TRT-<version>-<algorithm>");
  CHECK(refusal("TRT-x-EntropyCalibration2") ==
        "c: line 1: header: the version 'x' is not a number");
  CHECK(refusal("TRT--EntropyCalibration2") == "c: line 1: header: the version '' is not a number");
  CHECK(refusal("TRT-99999999999-EntropyCalibration2") ==
        "c: line 1: header: the version '99999999999' is not a number");
  CHECK(refusal("TRT-110000-EntropyCalibration2") ==
        "c: line 1: header: the version must be one of TensorRT 10 or older");
  CHECK(refusal("TRT-8602-Entropy") == "c: line 1: header: unknown algorithm 'Entropy'");
  CHECK(refusal(header + "x 3c010204") == "c: line 2: must be <name>: <hexadecimal digits>");
  CHECK(refusal(header + "x:3c010204") == "c: line 2: must be <name>: <hexadecimal digits>");
  CHECK(refusal(header + ": 3c010204") == "c: line 2: must be <name>: <hexadecimal digits>");
  const std::string rule = " is not one to eight hexadecimal digits";
  CHECK(refusal(header + "x: ") == "c: line 2: tensor 'x': the scale ''" + rule);
  CHECK(refusal(header + "x: 3c010204 ") == "c: line 2: tensor 'x': the scale '3c010204 '" + rule);
  CHECK(refusal(header + "x: 03c010204") == "c: line 2: tensor 'x': the scale '03c010204'" + rule);
  CHECK(refusal(header + "x: -1") == "c: line 2: tensor 'x': the scale '-1'" + rule);
  CHECK(refusal(header + "x: 0x1") == "c: line 2: tensor 'x': the scale '0x1'" + rule);
  CHECK(refusal(header + "x: 0") == "c: line 2: tensor 'x': the scale must be above zero");
  CHECK(refusal(header + "x: 80000000") == "c: line 2: tensor 'x': the scale must be above zero");
  CHECK(refusal(header + "x: bc010204") == "c: line 2: tensor 'x': the scale must be above zero");
  CHECK(refusal(header + "x: 7fc00000") == "c: line 2: tensor 'x': the scale must be above zero");
  CHECK(refusal(header + "x: 7f800000") == "c: line 2: tensor 'x': the scale is infinite");
  CHECK(refusal(header + "x: 1\n\nx: 1") == "c: line 4: tensor 'x': the name occurs twice");
}

TEST_CASE("tensorrt_cache: what no builder could use is not written", "[io]") {
  const auto refused = [](std::string name, float scale) {
    vq::tensorrt_cache cache;
    cache.scales = {{std::move(name), scale}};
    return text_of(cache);
  };
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(refused("x", 0) == "refused: c: tensor 'x': the scale must be above zero");
  CHECK(refused("x", -1) == "refused: c: tensor 'x': the scale must be above zero");
  CHECK(refused("x", std::numeric_limits<float>::quiet_NaN()) ==
        "refused: c: tensor 'x': the scale must be above zero");
  CHECK(refused("x", inf) == "refused: c: tensor 'x': the scale is infinite");
  CHECK(refused("", 1) == "refused: c: tensor '': the name is empty");
  CHECK(refused("a\nb", 1) ==
        "refused: c: tensor 'a\\x0ab': the name contains a line break or NUL");
  CHECK(text_of({.version = vq::tensorrt_version(11, 0, 0)}) ==
        "refused: c: header: the version must be one of TensorRT 10 or older");

  const files::folder folder;
  files::write(folder / "cache", "old");
  vq::tensorrt_cache bad;
  bad.set_absmax("x", 0);
  CHECK_FALSE(vq::write_tensorrt_cache(folder / "cache", bad));
  CHECK(files::read(folder / "cache") == "old");
}
