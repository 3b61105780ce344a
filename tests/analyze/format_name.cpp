#include <string>
#include <vector>

#include <vq/analyze/format_name.hpp>
#include <vq/policy/nf4.hpp>

#include "catch.hpp"

namespace {

struct powers {
  static constexpr const char* name = "powers";
  static constexpr float levels[8] = {-4, -2, -1, 0, 0.5f, 1, 2, 4};
};

}  // namespace

TEST_CASE("format_name: policy, granularity and nested scales, as recipes write them",
          "[analyze]") {
  using nested = vq::quantizer<vq::nf4, vq::per_block<64>, vq::double_quantized<256>>;
  using vq::format_name, vq::quantizer;
  CHECK(format_name<nested>() == "nf4-block64-dq256");
  CHECK(format_name<quantizer<vq::uniform<8>, vq::per_channel<0>>>() == "int8-channel");
  CHECK(format_name<quantizer<vq::uniform<8>, vq::per_channel<1>>>() == "int8-channel1");
  CHECK(format_name<quantizer<vq::uniform<4>, vq::per_group<32>>>() == "int4-group32");
  CHECK(format_name<quantizer<vq::e4m3, vq::per_tensor>>() == "e4m3-tensor");
}

TEST_CASE("format_name: a policy of one's own is called what it calls itself", "[analyze]") {
  using mine = vq::quantizer<vq::codebook<powers>, vq::per_channel<0>>;
  using eight_bits = vq::quantizer<vq::uniform<8>>;
  CHECK(vq::format_name<mine>() == "powers-channel");
  CHECK(vq::format_names(vq::menu<mine, eight_bits>{}) ==
        std::vector<std::string>{"powers-channel", "int8-tensor"});
}
