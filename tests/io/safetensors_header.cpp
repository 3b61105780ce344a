// Every rule of the format, and the sentence that names it.
#include <cstdint>
#include <string>
#include <string_view>

#include <vq/io/safetensors_reader.hpp>

#include "catch.hpp"
#include "io/files.hpp"

namespace {

// The sentence that refuses a file, or "" where it is accepted.
std::string refusal(std::string_view file) {
  const auto opened = vq::safetensors_file::from_bytes(files::bytes(file), "f");
  if (opened) return "";
  CHECK(opened.error().code == vq::status::bad_format);
  return vq::describe(opened.error());
}
std::string refusal(std::string_view header, std::size_t data_bytes) {
  return refusal(files::safetensors(header, data_bytes));
}

const std::string i32 = R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return R"({"test":{"dtype":")" + std::string(dtype) + R"(","shape":)" + std::string(shape) +
         R"(,"data_offsets":)" + std::string(offsets) + "}}";
}

}  // namespace

TEST_CASE("safetensors: the documented example is read", "[io]") {
  const std::string file = std::string("\x3c\0\0\0\0\0\0\0", 8) + i32 + std::string(16, '\0');
  REQUIRE(file.size() == 84);
  const auto opened = vq::safetensors_file::from_bytes(files::bytes(file), "f");
  REQUIRE(opened);
  REQUIRE(opened->tensors().size() == 1);
  const vq::tensor_entry& test = opened->tensors()[0];
  CHECK(test.name == "test");
  CHECK(test.type == vq::dtype::i32);
  CHECK(test.shape == std::vector<vq::index_type>{2, 2});
  CHECK(test.size() == 4);
  CHECK(test.bytes.size() == 16);
  CHECK(test.bytes.data() == files::bytes(file).data() + 68);
}

TEST_CASE("safetensors: what the format allows is accepted", "[io]") {
  CHECK(refusal("{}", 0) == "");
  CHECK(refusal("{}      ", 0) == "");
  CHECK(refusal(" {}", 0) != "");
  CHECK(refusal(R"({"__metadata__":{}})", 0) == "");
  CHECK(refusal(R"({"__metadata__":{"format":"pt","":"x"}})", 0) == "");
  CHECK(refusal(entry("F32", "[]", "[0,4]"), 4) == "");       // one value
  CHECK(refusal(entry("F32", "[3,0,2]", "[0,0]"), 0) == "");  // none
  CHECK(refusal(entry("F4", "[4]", "[0,2]"), 2) == "");       // whole bytes
  CHECK(refusal(entry("F6_E2M3", "[4]", "[0,3]"), 3) == "");
  CHECK(refusal(entry("F32", "[0,9223372036854775807]", "[0,0]"), 0) == "");  // 0 times huge
  CHECK(refusal("{ \"a\" :\n{\"shape\":[1],\t\"data_offsets\":[0,1],\r\"dtype\":\"U8\"}}", 1) ==
        "");
  CHECK(refusal("{\"\xc3\xa4 \\u00e4 \\ud83d\\ude00\":{\"dtype\":\"U8\",\"shape\":[],"
                "\"data_offsets\":[0,1]}}",
                1) == "");
  // in any order of the JSON, with empty tensors between others
  CHECK(refusal(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)"
                R"("e":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},)"
                R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                8) == "");
  for (const vq::dtype_facts& type : vq::dtype_table) {
    CHECK(refusal(entry(type.name, "[8]", "[0," + std::to_string(type.bits) + "]"),
                  static_cast<std::size_t>(type.bits)) == "");
  }
}

TEST_CASE("safetensors: the length of the header is checked before it is used", "[io]") {
  CHECK(refusal("") == "f: the file has 0 bytes, fewer than the 8 of its header length");
  CHECK(refusal("1234567") == "f: the file has 7 bytes, fewer than the 8 of its header length");
  CHECK(refusal(files::length_prefix(100'000'001) + "{}") ==
        "f: the header claims 100000001 bytes, more than 100000000");
  CHECK(refusal(files::length_prefix(~std::uint64_t{0}) + "{}") ==
        "f: the header claims 18446744073709551615 bytes, more than 100000000");
  CHECK(refusal(files::length_prefix(100'000'000) + "{}") ==
        "f: the file ends after 10 bytes, inside its header of 100000000");
  CHECK(refusal(files::length_prefix(3) + "{}") ==
        "f: the file ends after 10 bytes, inside its header of 3");
  CHECK(refusal(files::length_prefix(0)) == "f: the header does not begin with '{'");
}

TEST_CASE("safetensors: the header must be one JSON object in UTF-8", "[io]") {
  CHECK(refusal("\xef\xbb\xbf{}", 0) == "f: the header does not begin with '{'");  // BOM
  CHECK(refusal("[]", 0) == "f: the header does not begin with '{'");
  CHECK(refusal("    ", 0) == "f: the header does not begin with '{'");
  CHECK(refusal("{}\n", 0) == "f: the header does not end with '}' and spaces");
  CHECK(refusal(std::string("{}\0", 3), 0) == "f: the header does not end with '}' and spaces");
  CHECK(refusal("{} x", 0) == "f: the header does not end with '}' and spaces");
  CHECK(refusal(std::string("{}\0{}", 5), 0) == "f: the header contains NUL");
  CHECK(refusal("{}{}", 0) == "f: the header is not valid JSON in UTF-8, at its byte 3");
  CHECK(refusal("{} {}", 0) == "f: the header is not valid JSON in UTF-8, at its byte 4");
  CHECK(refusal("{,}", 0) == "f: the header is not valid JSON in UTF-8, at its byte 2");
  CHECK(refusal("{\"a\"}", 0) == "f: the header is not valid JSON in UTF-8, at its byte 5");
  CHECK(refusal("{/**/}", 0) == "f: the header is not valid JSON in UTF-8, at its byte 2");
  const std::string bad_names[] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "\\ud800", "\\udc00x",
                                   "\\q",  "\t"};
  for (const std::string& name : bad_names) {
    CAPTURE(name);
    CHECK(refusal("{\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0)
              .starts_with("f: the header is not valid JSON in UTF-8, at its byte "));
  }
  CHECK(refusal(R"({"a":1})", 0) == "f: entry 'a' must be an object");
  CHECK(refusal(R"({"a":null})", 0) == "f: entry 'a' must be an object");
  CHECK(refusal(R"({"a":[]})", 0) == "f: entry 'a' must be an object");
  CHECK(refusal(R"({"a":"x"})", 0) == "f: entry 'a' must be an object");
  CHECK(refusal(R"({"a":true})", 0) == "f: entry 'a' must be an object");
  CHECK(refusal(R"({"a":-1})", 0) == "f: entry 'a' must be an object");
}

TEST_CASE("safetensors: metadata map strings to strings, once", "[io]") {
  CHECK(refusal(R"({"__metadata__":{"a":1}})", 0) ==
        "f: __metadata__: the value of 'a' must be a string");
  CHECK(refusal(R"({"__metadata__":{"a":{}}})", 0) ==
        "f: __metadata__: the value of 'a' must be a string");
  CHECK(refusal(R"({"__metadata__":{"a":"1","a":"1"}})", 0) ==
        "f: __metadata__: the key 'a' occurs twice");
  CHECK(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0) == "f: __metadata__ occurs twice");
  CHECK(refusal(R"({"__metadata__":[]})", 0) == "f: entry '__metadata__' must be an object");
  CHECK(refusal(R"({"__metadata__":null})", 0) == "f: entry '__metadata__' must be an object");
  CHECK(refusal(R"({"__metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0) ==
        "f: __metadata__: the value of 'shape' must be a string");  // no tensor may be called so
}

TEST_CASE("safetensors: names are unique, not empty, not long, without NUL", "[io]") {
  const std::string rest = R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  CHECK(refusal("{\"a" + rest + ",\"b" + rest + ",\"a" + rest + "}", 0) ==
        "f: tensor 'a': the name occurs twice");
  CHECK(refusal("{\"a" + rest + ",\"\\u0061" + rest + "}", 0) ==
        "f: tensor 'a': the name occurs twice");
  CHECK(refusal("{\"" + rest + "}", 0) == "f: a tensor has an empty name");
  CHECK(refusal("{\"a\\u0000b" + rest + "}", 0) == "f: tensor 'a\\x00b': the name contains NUL");
  CHECK(refusal("{\"" + std::string(4096, 'x') + rest + "}", 0) == "");
  CHECK(refusal("{\"" + std::string(4097, 'x') + rest + "}", 0) ==
        "f: tensor '" + std::string(120, 'x') + "...': the name is longer than 4096 bytes");
}

TEST_CASE("safetensors: a tensor has exactly dtype, shape and data_offsets", "[io]") {
  const auto with = [](std::string_view fields, std::size_t data = 0) {
    return refusal("{\"t\":{" + std::string(fields) + "}}", data);
  };
  const std::string type = R"("dtype":"U8")", shape = R"("shape":[0])",
                    offsets = R"("data_offsets":[0,0])";
  CHECK(with(type + "," + shape + "," + offsets) == "");
  CHECK(with(shape + "," + offsets) == "f: tensor 't': dtype is missing");
  CHECK(with(type + "," + offsets) == "f: tensor 't': shape is missing");
  CHECK(with(type + "," + shape) == "f: tensor 't': data_offsets is missing");
  CHECK(with("") == "f: tensor 't': dtype is missing");
  CHECK(with(type + "," + type) == "f: tensor 't': dtype occurs twice");
  CHECK(with(shape + "," + shape) == "f: tensor 't': shape occurs twice");
  CHECK(with(offsets + "," + offsets) == "f: tensor 't': data_offsets occurs twice");
  CHECK(with(R"("strides":[1])") == "f: tensor 't': unknown field 'strides'");
  CHECK(with(R"("dtype":"F33")") == "f: tensor 't': unknown dtype 'F33'");
  CHECK(with(R"("dtype":"f32")") == "f: tensor 't': unknown dtype 'f32'");
  CHECK(with(R"("dtype":1)") == "f: tensor 't': dtype must be a string");
  CHECK(with(R"("dtype":["U8"])") == "f: tensor 't': dtype must be a string");
  CHECK(with(R"("shape":1)") == "f: tensor 't': shape must be an array of integers");
  CHECK(with(R"("shape":"1")") == "f: tensor 't': shape must be an array of integers");
  CHECK(with(R"("shape":{})") == "f: tensor 't': shape must be an array of integers");
  CHECK(with(R"("shape":null)") == "f: tensor 't': shape must be an array of integers");
  CHECK(with(R"("shape":["1"])") == "f: tensor 't': shape must contain integers only");
  CHECK(with(R"("shape":[[1]])") == "f: tensor 't': shape must contain integers only");  // nesting
  CHECK(with(R"("shape":[{}])") == "f: tensor 't': shape must contain integers only");
  CHECK(with(R"("shape":[true])") == "f: tensor 't': shape must contain integers only");
  CHECK(with(R"("data_offsets":[])") == "f: tensor 't': data_offsets must be two integers");
  CHECK(with(R"("data_offsets":[0])") == "f: tensor 't': data_offsets must be two integers");
  CHECK(with(R"("data_offsets":[0,0,0])") == "f: tensor 't': data_offsets must be two integers");
  CHECK(with(R"("data_offsets":0)") == "f: tensor 't': data_offsets must be an array of integers");
}

TEST_CASE("safetensors: numbers are plain digits up to 2^63 - 1", "[io]") {
  const auto rule = [](std::string_view number) {
    return "f: tensor 'test': shape contains " + std::string(number) +
           ", not an integer from 0 to 2^63 - 1 in plain digits";
  };
  for (const std::string number :
       {"1e3", "1.0", "0.5", "-0", "-1", "1E0", "-1.5", "9223372036854775808",
        "18446744073709551615", "18446744073709551616", "100000000000000000000000000"}) {
    CAPTURE(number);
    CHECK(refusal(entry("U8", "[" + number + "]", "[0,0]"), 0) == rule(number));
  }
  for (const std::string number : {"01", "+1", "0x1", "1.", ".5", "1e", "NaN", "Infinity", "--1"}) {
    CAPTURE(number);
    CHECK(refusal(entry("U8", "[" + number + "]", "[0,0]"), 0)
              .starts_with("f: the header is not valid JSON in UTF-8, at its byte "));
  }
  CHECK(refusal(entry("U8", "[0]", "[0.0,0]"), 0) ==
        "f: tensor 'test': data_offsets contains 0.0, not an integer from 0 to 2^63 - 1 in plain "
        "digits");
  CHECK(refusal(entry("U8", "[1e999]", "[0,0]"), 0)
            .starts_with("f: the header is not valid JSON in UTF-8, at its byte "));
}

TEST_CASE("safetensors: sizes and offsets must agree with each other and the file", "[io]") {
  CHECK(refusal(entry("I32", "[2,2]", "[0,12]"), 16) ==
        "f: tensor 'test': data_offsets span 12 bytes, but shape and dtype take 16");
  CHECK(refusal(entry("I32", "[2,2]", "[4,20]"), 16) ==
        "f: tensor 'test': data_offsets end at 20, after the end of the data (16 bytes)");
  CHECK(refusal(entry("I32", "[2,2]", "[4,20]"), 20) ==
        "f: tensor 'test': data_offsets begin at 4, which leaves a hole after the byte 0");
  CHECK(refusal(entry("I32", "[2,3]", "[0,16]"), 16) ==
        "f: tensor 'test': data_offsets span 16 bytes, but shape and dtype take 24");
  CHECK(refusal(i32, 17) == "f: the data have 17 bytes, but the tensors end at 16");
  CHECK(refusal(i32, 15) ==
        "f: tensor 'test': data_offsets end at 16, after the end of the data (15 bytes)");
  CHECK(refusal("{}", 1) == "f: the data have 1 bytes, but the tensors end at 0");
  CHECK(refusal(entry("I32", "[0]", "[4,0]"), 16) ==
        "f: tensor 'test': data_offsets begin at 4, after their end at 0");
  CHECK(refusal(entry("I32", "[0]", "[4,4]"), 4) ==
        "f: tensor 'test': data_offsets begin at 4, which leaves a hole after the byte 0");

  const auto two = [](std::string_view a, std::string_view b, std::string_view count = "1") {
    return R"({"a":{"dtype":"F32","shape":[)" + std::string(count) + R"(],"data_offsets":)" +
           std::string(a) + R"(},"b":{"dtype":"F32","shape":[)" + std::string(count) +
           R"(],"data_offsets":)" + std::string(b) + "}}";
  };
  CHECK(refusal(two("[4,8]", "[0,4]"), 8) == "");
  CHECK(refusal(two("[0,4]", "[8,12]"), 12) ==
        "f: tensor 'b': data_offsets begin at 8, which leaves a hole after the byte 4");
  CHECK(refusal(two("[0,8]", "[4,12]", "2"), 12) ==
        "f: tensor 'b': data_offsets begin at 4, inside another tensor that ends at 8");
  CHECK(refusal(two("[0,4]", "[0,4]"), 4) ==
        "f: tensor 'b': data_offsets begin at 0, inside another tensor that ends at 4");
}

TEST_CASE("safetensors: shapes are multiplied without overflow", "[io]") {
  CHECK(refusal(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0) ==
        "f: tensor 'test': shape overflows");
  CHECK(refusal(entry("F32", "[9223372036854775807]", "[0,0]"), 0) ==
        "f: tensor 'test': shape overflows");
  CHECK(refusal(entry("U8", "[9223372036854775807,2,0]", "[0,0]"), 0) ==
        "f: tensor 'test': shape overflows");
  CHECK(refusal(entry("F32", "[0,18446744073709551615]", "[0,0]"), 0).find("2^63 - 1") !=
        std::string::npos);  // the reference reader would take this one
  CHECK(refusal(entry("F4", "[3]", "[0,2]"), 2) ==
        "f: tensor 'test': shape of F4 takes 12 bits, not whole bytes");
  CHECK(refusal(entry("F6_E3M2", "[2]", "[0,2]"), 2) ==
        "f: tensor 'test': shape of F6_E3M2 takes 12 bits, not whole bytes");
}

TEST_CASE("safetensors: rank and number of tensors are bounded", "[io]") {
  std::string shape = "[1";
  for (int i = 1; i < 32; ++i) shape += ",1";
  CHECK(refusal(entry("U8", shape + "]", "[0,1]"), 1) == "");
  CHECK(refusal(entry("U8", shape + ",1]", "[0,1]"), 1) ==
        "f: tensor 'test': shape has more than 32 dimensions");

  std::string header = "{";
  for (int i = 0; i <= 1'000'000; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i);
    header += R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  CHECK(refusal(header + "}", 0) == "f: more than 1000000 tensors");
}

TEST_CASE("safetensors: deep nesting ends at its first level", "[io]") {
  CHECK(refusal("{\"a\":" + std::string(1'000'000, '[') + "}", 0) ==
        "f: entry 'a' must be an object");
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  CHECK(refusal(nested + "}", 0) == "f: tensor 'a': unknown field 'a'");
}

TEST_CASE("safetensors: names in messages cannot write to a terminal", "[io]") {
  CHECK(refusal("{\"\\u001b[31m\":1}", 0) == "f: entry '\\x1b[31m' must be an object");
  CHECK(refusal("{\"a\\nb\\u007f\":1}", 0) == "f: entry 'a\\x0ab\\x7f' must be an object");
}
