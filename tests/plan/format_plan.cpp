#include <string>
#include <vector>

#include <vq/plan/format_plan.hpp>
#include <vq/plan/layer_times.hpp>
#include <vq/plan/weight_formats.hpp>

#include "catch.hpp"

namespace {

using vq::dtype;
using vq::procedure;

const std::vector<vq::tensor_info> tensors{
    {"vit.layer.0.query.weight", dtype::f16, {64, 64}},
    {"vit.layer.0.query.bias", dtype::f16, {64}},
    {"vit.layer.0.key.weight", dtype::f16, {64, 64}},
    {"vit.layer.0.fc1.weight", dtype::f16, {128, 64}},
    {"vit.layer.0.fc2.weight", dtype::f16, {64, 128}},
};
// codes and a float scale for each row
constexpr std::uint64_t int8_bytes[] = {64 * 64 + 256, 64 * 64 + 256, 128 * 64 + 512,
                                        64 * 128 + 256};
constexpr std::uint64_t int4_bytes[] = {64 * 32 + 256, 64 * 32 + 256, 128 * 32 + 512,
                                        64 * 64 + 256};
constexpr std::uint64_t bias_bytes = 128;

vq::sensitivity_table table() {
  vq::sensitivity_table t;
  t.layers = {{"vit.layer.0.query"},
              {"vit.layer.0.key"},
              {"vit.layer.0.fc1"},
              {"vit.layer.0.fc2"},
              {"vit.layer.0.fc2", "inputs"}};
  t.formats = {"int4-channel", "int8-channel"};
  const double alone[2][4] = {{5, 1, 2, 30}, {0.25, 0.25, 0.25, 0.25}};
  for (vq::index_type f = 0; f < 2; ++f) {
    for (vq::index_type l = 0; l < 4; ++l) {
      t.trials.push_back({procedure::alone, f, l, {alone[f][l] - 0.125, alone[f][l] + 0.125}});
    }
  }
  return t;
}

std::vector<std::string> formats_of(const vq::format_plan& plan) {
  std::vector<std::string> names;
  for (const auto& l : plan.layers) names.push_back(l.format);
  return names;
}

const std::vector<vq::weight_format> formats = vq::formats_of<vq::weight_formats>();

vq::result<vq::format_plan, vq::failure> planned(vq::plan_request request, std::uint64_t bytes) {
  request.limits.bytes = static_cast<std::int64_t>(bytes);
  return vq::plan_formats(table(), tensors, formats, request);
}

const std::uint64_t all_int8 =
    bias_bytes + int8_bytes[0] + int8_bytes[1] + int8_bytes[2] + int8_bytes[3];
const std::uint64_t all_int4 =
    bias_bytes + int4_bytes[0] + int4_bytes[1] + int4_bytes[2] + int4_bytes[3];

}  // namespace

TEST_CASE("format plan: the layers that hurt least give way first", "[plan]") {
  CHECK(formats_of(*planned({}, 1 << 20)) == std::vector<std::string>(4, "keep"));
  CHECK(formats_of(*planned({}, all_int8)) == std::vector<std::string>(4, "int8-channel"));
  CHECK(formats_of(*planned({}, all_int4)) == std::vector<std::string>(4, "int4-channel"));
  // fc1 saves 4096 bytes for 1.75, query and key together 4096 for 5.5, fc2 4096 for 29.75.
  const auto one = planned({}, all_int8 - 1);
  REQUIRE(one);
  CHECK(formats_of(*one) ==
        std::vector<std::string>{"int8-channel", "int8-channel", "int4-channel", "int8-channel"});
  CHECK(one->bytes == all_int8 - 4096);
  CHECK(one->cost == Approx(2.75));
  CHECK(one->optimal);
  const auto two = planned({}, all_int8 - 4097);
  CHECK(formats_of(*two) ==
        std::vector<std::string>{"int4-channel", "int4-channel", "int4-channel", "int8-channel"});
}

TEST_CASE("format plan: query and key agree unless they are set free", "[plan]") {
  // The key alone saves 2048 bytes for 0.75.
  const auto tied = planned({}, all_int8 - 1);
  CHECK(tied->layers[0].format == tied->layers[1].format);
  const auto free = planned({.tie = false}, all_int8 - 1);
  CHECK(formats_of(*free) ==
        std::vector<std::string>{"int8-channel", "int4-channel", "int8-channel", "int8-channel"});
}

TEST_CASE("format plan: a plan is a recipe that gives what it promises", "[plan]") {
  const auto plan = planned({.name = "small"}, all_int8 - 1);
  REQUIRE(plan);
  const auto again = vq::parse_recipe(vq::format_recipe(plan->rules), "plan.json");
  REQUIRE(again);
  CHECK(*again == plan->rules);
  const auto applied = vq::apply(*again, tensors, formats);
  REQUIRE(applied);
  std::uint64_t bytes = 0;
  for (const auto& t : applied->tensors) bytes += t.bytes;
  CHECK(bytes == plan->bytes);
}

TEST_CASE("format plan: pins and least bits are kept", "[plan]") {
  vq::plan_request pinned;
  pinned.pins = vq::recipe{"pins", "", {{.pattern = "*.fc1", .format = "keep"}}};
  const std::uint64_t fc1_kept = all_int4 - int4_bytes[2] + 128 * 64 * 2;
  const auto plan = planned(pinned, fc1_kept);
  REQUIRE(plan);
  CHECK(formats_of(*plan) ==
        std::vector<std::string>{"int4-channel", "int4-channel", "keep", "int4-channel"});
  CHECK_FALSE(planned(pinned, fc1_kept - 1));

  // A format that the table has not measured can be pinned too.
  pinned.pins->rules[0].format = "nf4-block64";
  CHECK(planned(pinned, all_int8)->layers[2].format == "nf4-block64");

  vq::plan_request eight;
  eight.least_bits[vq::component::vision] = 8;
  CHECK(formats_of(*planned(eight, all_int8)) == std::vector<std::string>(4, "int8-channel"));
  CHECK_FALSE(planned(eight, all_int8 - 1));
}

TEST_CASE("format plan: a format without a time is no choice", "[plan]") {
  vq::plan_request request;
  request.time = vq::layer_times{"ms",
                                 {{"vit.layer.0.query", {{"int8-channel", 1}}},
                                  {"vit.layer.0.key", {{"int8-channel", 1}}},
                                  {"vit.layer.0.fc1", {{"int8-channel", 2}, {"keep", 4}}},
                                  {"vit.layer.0.fc2", {{"int4-channel", 0.5}}}}};
  const auto plan = planned(request, 1'000'000);
  REQUIRE(plan);
  CHECK(formats_of(*plan) ==
        std::vector<std::string>{"int8-channel", "int8-channel", "keep", "int4-channel"});
  CHECK(plan->time == 1 + 1 + 4 + 0.5);

  request.limits.time = 5;
  CHECK(formats_of(*planned(request, 1'000'000)) ==
        std::vector<std::string>{"int8-channel", "int8-channel", "int8-channel", "int4-channel"});
  request.time = vq::layer_times{"ms", {}};
  CHECK_FALSE(planned(request, 1'000'000));
}

TEST_CASE("format plan: a limit of time is a second limit", "[plan]") {
  vq::plan_request request;
  request.time = [](const vq::tensor_info& w, std::string_view format) {
    return static_cast<double>(w.size()) * (format == "keep"           ? 4
                                            : format == "int8-channel" ? 2
                                                                       : 1);
  };
  request.limits.time = 2.0 * (64 * 64 + 64 * 64 + 128 * 64 + 64 * 128);
  const auto plan = planned(request, 1 << 20);
  REQUIRE(plan);
  CHECK(formats_of(*plan) == std::vector<std::string>(4, "int8-channel"));
}

TEST_CASE("format plan: a table of another model is refused by name", "[plan]") {
  auto other = table();
  other.layers[2].name = "resnet.conv1";
  const auto plan = vq::plan_formats(other, tensors, formats, {});
  REQUIRE_FALSE(plan);
  CHECK_THAT(plan.error().message, Catch::Contains("resnet.conv1.weight"));
  auto unknown = table();
  unknown.formats[0] = "int4-chanel";
  CHECK_THAT(vq::plan_formats(unknown, tensors, formats, {}).error().message,
             Catch::Contains("int4-chanel"));
  CHECK_THAT(planned({}, 100).error().message,
             Catch::Contains("100 bytes") && Catch::Contains("128"));
}

TEST_CASE("tied layers: beside each other, not across blocks", "[plan]") {
  const std::vector<std::string> modules{"a.0.q_proj",  "a.0.k_proj", "a.0.o_proj",
                                         "a.1.q_proj",  "a.0.v_proj", "a.0.gate_proj",
                                         "a.0.up_proj", "q",          "k"};
  const std::vector<std::vector<vq::index_type>> want{{0, 1, 4}, {2}, {3}, {5, 6}, {7}, {8}};
  CHECK(vq::tied_layers(modules) == want);
}
