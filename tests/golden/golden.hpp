// Golden vectors: inputs, parameters and outputs of other libraries (README.md here tells which).
//
//   for (const golden::test_case& c : golden::cases("torch_quantize", "quantize_per_tensor")) {
//     if (c.params().at("dtype") == "qint32") {
//       c.skip(golden::reason::option_not_offered);
//       continue;
//     }
//     const auto x = c.input<float>("x");           // x.data, x.shape
//     const auto scale = c.params().at("scale").get<double>();
//     golden::check(c, "q", codes);                 // a Catch CHECK, by the tolerance of the index
//   }
//
// The folder is $VQ_GOLDEN_DIR or, without it, this one. Whatever is missing or malformed throws,
// so a test without its vectors fails; it never passes by running nothing. When the program ends
// it prints one line per family: how many cases it ran, how many passed, how many were skipped and
// why.
#ifndef VQ_TESTS_GOLDEN_GOLDEN_HPP
#define VQ_TESTS_GOLDEN_GOLDEN_HPP

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/io/safetensors_reader.hpp>

#include "catch.hpp"
#include "golden/tally.hpp"

namespace golden {

template <class T>
struct array {
  std::vector<T> data;
  std::vector<vq::index_type> shape;
};

struct verdict {
  bool passed = false;
  std::string message;
};

class family;

class test_case {
 public:
  test_case(family& owner, const nlohmann::json& facts) : family_(&owner), facts_(&facts) {}

  const std::string& name() const { return text("name"); }
  const std::string& op() const { return text("op"); }
  const nlohmann::json& params() const { return facts_->at("params"); }
  bool has_input(const std::string& role) const { return facts_->at("inputs").contains(role); }
  bool has_output(const std::string& role) const { return facts_->at("outputs").contains(role); }

  // The stored tensor, for its dtype and bytes.
  const vq::tensor_entry& input_entry(const std::string& role) const {
    return entry("inputs", role);
  }
  const vq::tensor_entry& output_entry(const std::string& role) const {
    return entry("outputs", role);
  }

  // The values as T, which must be able to hold each of them exactly.
  template <class T>
  array<T> input(const std::string& role) const {
    return read<T>(input_entry(role));
  }
  template <class T>
  array<T> output(const std::string& role) const {
    return read<T>(output_entry(role));
  }
  // The only value of a tensor of one element.
  template <class T>
  T input_value(const std::string& role) const {
    return input<T>(role).data.at(0);
  }
  template <class T>
  T output_value(const std::string& role) const {
    return output<T>(role).data.at(0);
  }

  void skip(reason why) const;

  // Compares with the stored output under the tolerance of the index, and counts the result. What
  // was computed in double is rounded to float first where the output is stored as float and the
  // tolerance counts floats (exact, ulp).
  template <class T>
  verdict compare(const std::string& role, std::span<const T> got) const;

 private:
  const std::string& text(const char* key) const {
    return facts_->at(key).get_ref<const std::string&>();
  }
  const vq::tensor_entry& entry(const char* direction, const std::string& role) const;
  template <class T>
  array<T> read(const vq::tensor_entry& tensor) const;

  family* family_;
  const nlohmann::json* facts_;
};

// One entry of cases.json and its safetensors.
class family {
 public:
  family(const nlohmann::json& facts, const std::filesystem::path& folder)
      : name_(facts.at("family")) {
    auto opened = vq::safetensors_file::open(folder / facts.at("file").get<std::string>());
    if (!opened) throw std::runtime_error(vq::describe(opened.error()));
    file_ = std::make_unique<vq::safetensors_file>(std::move(*opened));
    std::size_t outputs = 0;
    for (const nlohmann::json& c : facts.at("cases")) {
      cases_.emplace_back(*this, c);
      outputs += c.at("outputs").size();
    }
    tally_ = std::make_unique<golden::tally>(name_, cases_.size(), outputs);
  }
  family(const family&) = delete;
  ~family() { tally_->print(); }

  const std::string& name() const { return name_; }
  const vq::safetensors_file& file() const { return *file_; }
  const std::vector<test_case>& cases() const { return cases_; }
  golden::tally& tally() { return *tally_; }

 private:
  std::string name_;
  std::unique_ptr<vq::safetensors_file> file_;
  std::vector<test_case> cases_;
  std::unique_ptr<golden::tally> tally_;
};

inline std::filesystem::path folder() {
  if (const char* chosen = std::getenv("VQ_GOLDEN_DIR")) return chosen;
#ifdef VQ_SOURCE_DIR
  return std::filesystem::path(VQ_SOURCE_DIR) / "tests" / "golden";
#else
  return std::filesystem::path(__FILE__).parent_path();
#endif
}

// The index, read once; families are opened when they are first asked for.
inline family& open(const std::string& name) {
  static const nlohmann::json index = [] {
    const std::filesystem::path path = folder() / "cases.json";
    std::ifstream stream(path);
    if (!stream) throw std::runtime_error(path.string() + ": cannot be opened");
    return nlohmann::json::parse(stream);
  }();
  static std::map<std::string, std::unique_ptr<family>> opened;
  std::unique_ptr<family>& found = opened[name];
  if (found) return *found;
  for (const nlohmann::json& facts : index.at("families")) {
    if (facts.at("family") == name) {
      found = std::make_unique<family>(facts, folder());
      return *found;
    }
  }
  throw std::runtime_error((folder() / "cases.json").string() + ": no family '" + name + "'");
}

// The cases of a family, of one op or of all. Throws where there is none.
inline std::vector<test_case> cases(const std::string& family_name, std::string_view op = "") {
  std::vector<test_case> chosen;
  for (const test_case& c : open(family_name).cases()) {
    if (op.empty() || c.op() == op) chosen.push_back(c);
  }
  if (chosen.empty()) {
    throw std::runtime_error("golden " + family_name + ": no case of op '" + std::string(op) + "'");
  }
  return chosen;
}

inline void test_case::skip(reason why) const { family_->tally().skip(name(), why); }

inline const vq::tensor_entry& test_case::entry(const char* direction,
                                                const std::string& role) const {
  const nlohmann::json& roles = facts_->at(direction);
  if (!roles.contains(role)) {
    throw std::runtime_error("golden " + name() + ": no '" + role + "' in its " + direction);
  }
  const auto tensor = family_->file().get(roles.at(role).get<std::string>());
  if (!tensor) throw std::runtime_error(vq::describe(tensor.error()));
  return **tensor;
}

template <class T>
array<T> test_case::read(const vq::tensor_entry& tensor) const {
  array<T> result{{}, tensor.shape};
  const auto convert = [&]<class Stored>(Stored) {
    const auto stored = family_->file().to_vector<Stored>(tensor.name);
    for (const Stored& value : *stored) {
      T converted{};
      bool exact = true;
      if constexpr (requires { value.to_float(); }) {
        converted = static_cast<T>(value.to_float());
        exact = std::is_floating_point_v<T>;
      } else {
        converted = static_cast<T>(value);
        exact = static_cast<Stored>(converted) == value || value != value;
      }
      if (!exact) throw std::runtime_error("golden " + tensor.name + ": a value does not fit");
      result.data.push_back(converted);
    }
  };
  switch (tensor.type) {
    case vq::dtype::f64:
      convert(double{});
      break;
    case vq::dtype::f32:
      convert(float{});
      break;
    case vq::dtype::f16:
      convert(vq::half{});
      break;
    case vq::dtype::bf16:
      convert(vq::bfloat16{});
      break;
    case vq::dtype::i64:
      convert(std::int64_t{});
      break;
    case vq::dtype::i32:
      convert(std::int32_t{});
      break;
    case vq::dtype::i16:
      convert(std::int16_t{});
      break;
    case vq::dtype::u16:
      convert(std::uint16_t{});
      break;
    case vq::dtype::i8:
      convert(std::int8_t{});
      break;
    case vq::dtype::u8:
      convert(std::uint8_t{});
      break;
    default:
      throw std::runtime_error("golden " + tensor.name + ": unexpected dtype");
  }
  return result;
}

// Equal as numbers: NaN equals NaN, +0 equals -0.
inline bool same(double got, double want) { return got == want || (got != got && want != want); }

// How many representable floats lie between two floats; none for equal numbers.
inline double ulps_between(float a, float b) {
  if (same(a, b)) return 0;
  if (!std::isfinite(a) || !std::isfinite(b)) return std::numeric_limits<double>::infinity();
  const auto rank = [](float x) {
    const auto bits = std::bit_cast<std::int32_t>(x);
    return bits < 0 ? -static_cast<double>(bits & 0x7fffffff) : static_cast<double>(bits);
  };
  return std::abs(rank(a) - rank(b));
}

template <class T>
verdict test_case::compare(const std::string& role, std::span<const T> got) const {
  const nlohmann::json& rule = facts_->at("tolerance").at(role);
  const auto kind = rule.at("kind").get<std::string>();
  const vq::tensor_entry& stored = output_entry(role);
  const bool as_floats = stored.type == vq::dtype::f32 && (kind == "exact" || kind == "ulp");
  const auto number = [&](T value) {
    const auto wide = static_cast<double>(value);  // integers here are below 2^53
    return as_floats ? static_cast<double>(static_cast<float>(wide)) : wide;
  };
  const auto limit = rule.value("max", 0.0);
  const auto floor = rule.value("floor", 0.0);
  const auto close = [&](double value, double want) {
    if (same(value, want)) return true;
    if (kind == "abs" || kind == "lsb") return std::abs(value - want) <= limit;
    if (kind == "rel") return std::abs(value - want) <= limit * std::abs(want) + floor;
    if (kind == "ulp") {
      return ulps_between(static_cast<float>(value), static_cast<float>(want)) <= limit;
    }
    return kind == "codes" || kind == "info";
  };

  verdict result{true, "golden " + family_->name() + " " + name() + ": " + role};
  const auto fail = [&](const std::string& what) {
    result = {false, result.message + " (" + kind + "): " + what};
  };
  const auto printed = [](double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", value);
    return std::string(text);
  };
  // Compares with `want.size()` values; says what is wrong, or nothing.
  const auto judge = [&](std::span<const double> want) -> std::string {
    std::size_t equal = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      const double value = number(got[i]);
      equal += same(value, want[i]) ? 1u : 0u;
      if (!close(value, want[i])) {
        return "at " + std::to_string(i) + " of " + std::to_string(want.size()) + " got " +
               printed(value) + ", want " + printed(want[i]);
      }
    }
    const double share =
        want.empty() ? 1 : static_cast<double>(equal) / static_cast<double>(want.size());
    if (share >= rule.value("equal_fraction", 0.0)) return {};
    return "only " + printed(100 * share) + " % are equal";
  };

  const std::vector<double> want = read<double>(stored).data;
  if (got.size() != want.size()) {
    fail("got " + std::to_string(got.size()) + " values, want " + std::to_string(want.size()));
  } else if (std::string wrong = judge(want); !wrong.empty()) {
    bool excused = false;
    if (rule.contains("alternatives")) {
      const auto rows = output<double>(rule.at("alternatives").get<std::string>()).data;
      for (std::size_t row = 0; row + want.size() <= rows.size() && !want.empty();
           row += want.size()) {
        excused = excused || judge(std::span(rows).subspan(row, want.size())).empty();
      }
    }
    if (!excused) fail(wrong);
  }
  family_->tally().record(name(), role, result.passed, kind != "info");
  return result;
}

// A Catch check of one output. `got` is a contiguous range of numbers, or one number.
template <class Got>
void check(const test_case& c, const std::string& role, const Got& got) {
  verdict v;
  if constexpr (std::is_arithmetic_v<Got>) {
    v = c.compare(role, std::span<const Got>(&got, 1));
  } else {
    using value_type = std::ranges::range_value_t<Got>;
    v = c.compare(role,
                  std::span<const value_type>(std::ranges::data(got), std::ranges::size(got)));
  }
  INFO(v.message);
  CHECK(v.passed);
}

}  // namespace golden

#endif
