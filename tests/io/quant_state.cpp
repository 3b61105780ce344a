// The JSON beside a 4-bit weight.
#include <limits>
#include <string>
#include <vector>

#include <vq/io/quant_state.hpp>

#include "catch.hpp"

namespace {

// 165 bytes, as bitsandbytes writes them.
const std::string example =
    R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [4096, 4096], )"
    R"("nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.04208984375})";

std::string refusal(std::string_view text) {
  const auto state = vq::parse_quant_state(text, "f: w");
  if (state) return "no failure";
  CHECK(state.error().code == vq::status::bad_format);
  return vq::describe(state.error());
}

// The example with one part in place of another.
std::string with(const std::string& part, const std::string& other) {
  std::string text = example;
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), other);
}

}  // namespace

TEST_CASE("quant_state: the text of Python is read and written again", "[io]") {
  REQUIRE(example.size() == 165);
  const auto state = vq::parse_quant_state(example, "f");
  REQUIRE(state);
  CHECK(state->quant_type == vq::four_bit_type::nf);
  CHECK(state->blocksize == 64);
  CHECK(state->type == vq::dtype::f16);
  CHECK(state->shape == std::vector<vq::index_type>{4096, 4096});
  CHECK(state->nested);
  CHECK(state->nested_blocksize == 256);
  CHECK(state->nested_offset == 0.04208984375);
  CHECK(vq::to_json(*state) == example);

  const std::string plain =
      R"({"quant_type": "fp4", "blocksize": 4096, "dtype": "bfloat16", "shape": null})";
  const auto other = vq::parse_quant_state(plain, "f");
  REQUIRE(other);
  CHECK_FALSE(other->nested);
  CHECK_FALSE(other->shape);
  CHECK(vq::to_json(*other) == plain);
  CHECK(vq::longest_json(*other) == static_cast<vq::index_type>(plain.size()));
  CHECK(vq::parse_quant_state(example + "  \n", "f"));  // space is space
}

TEST_CASE("quant_state: numbers are spelled as Python's repr spells them", "[io]") {
  // repr(float) of CPython 3.11
  CHECK(vq::python_repr(0.) == "0.0");
  CHECK(vq::python_repr(-0.) == "-0.0");
  CHECK(vq::python_repr(1.) == "1.0");
  CHECK(vq::python_repr(0.1) == "0.1");
  CHECK(vq::python_repr(static_cast<double>(0.1f)) == "0.10000000149011612");
  CHECK(vq::python_repr(0.0001) == "0.0001");
  CHECK(vq::python_repr(0.00001) == "1e-05");
  CHECK(vq::python_repr(1.2345e-5) == "1.2345e-05");
  CHECK(vq::python_repr(123456789012345680.) == "1.2345678901234568e+17");
  CHECK(vq::python_repr(1e15) == "1000000000000000.0");
  CHECK(vq::python_repr(9007199254740993.) == "9007199254740992.0");
  CHECK(vq::python_repr(1e16) == "1e+16");
  CHECK(vq::python_repr(-2.5e100) == "-2.5e+100");
  CHECK(vq::python_repr(5e-324) == "5e-324");

  vq::quant_state state;
  state.shape = {3};
  state.nested = true;
  const vq::index_type longest = vq::longest_json(state);
  for (const double offset : {0., -2.2250738585072014e-308, 0.12345678901234568,
                              static_cast<double>((std::numeric_limits<float>::min)())}) {
    state.nested_offset = offset;
    CHECK(static_cast<vq::index_type>(vq::to_json(state).size()) <= longest);
  }
}

TEST_CASE("quant_state: what breaks a rule is refused with a sentence", "[io]") {
  CHECK(refusal("") == "f: w: not valid JSON in UTF-8");
  CHECK(refusal("[]") == "f: w: must be a JSON object");
  CHECK(refusal(with("}", ", \"extra\": 1}")) == "f: w: unknown field 'extra'");
  CHECK(refusal(with("\"blocksize\": 64, ", "")) == "f: w: blocksize is missing");
  CHECK(refusal(with("\"nf4\"", "\"int4\"")) ==
        "f: w: quant_type must be \"nf4\" or \"fp4\", not '\"int4\"'");
  for (const char* size : {"16", "48", "8192", "-64", "64.0", "\"64\"", "1e2"}) {
    CAPTURE(size);
    CHECK(refusal(with(": 64,", std::string(": ") + size + ",")) ==
          "f: w: blocksize must be 32, 64, 128, ... or 4096");
  }
  CHECK(refusal(with("float16", "float64")) ==
        "f: w: dtype must be \"float16\", \"bfloat16\" or \"float32\"");
  CHECK(refusal(with("[4096, 4096]", "4096")) ==
        "f: w: shape must be null or an array of integers");
  CHECK(refusal(with("[4096, 4096]", "[4096, -1]")) ==
        "f: w: shape must contain integers from 0 to 2^57 only");
  CHECK(refusal(with("[4096, 4096]", "[4294967296, 4294967296]")) == "f: w: shape overflows");
  CHECK(refusal(with("\"nested_blocksize\": 256, ", "")) ==
        "f: w: nested_blocksize is missing, though other nested fields are there");
  CHECK(refusal(with("256", "100")) == "f: w: nested_blocksize must be 32, 64, ... or 4096");
  CHECK(refusal(with("\"float32\"", "\"float16\"")) == "f: w: nested_dtype must be \"float32\"");
  CHECK(refusal(with("0.04208984375", "null")) == "f: w: nested_offset must be a number");
  CHECK(refusal(with("0.04208984375", "1e300")) == "f: w: nested_offset must be a finite float");
  CHECK(refusal(with("\"blocksize\": 64", "\"blocksize\": 64, \"blocksize\": 64")) ==
        "f: w: 'blocksize' occurs twice");
}
