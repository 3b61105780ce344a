// All cases of PyTorch's folding: weights, biases, and what the folded layer computes.
#include "golden/golden.hpp"

#include "layers.hpp"

namespace {

std::array<vq::index_type, 2> pair_of(const nlohmann::json& params, const char* key,
                                      vq::index_type fallback, bool flat) {
  const auto value = params.value(key, fallback);
  return {flat ? fallback : value, value};  // one-dimensional maps have height 1
}

}  // namespace

TEST_CASE("PyTorch's folded weights, biases and outputs", "[fold][golden]") {
  for (const golden::test_case& c : golden::cases("bn_fold", "bn_fold")) {
    const auto& params = c.params();
    const auto kind = params.at("op").get<std::string>();
    const bool transposed = kind == "conv_transpose2d";
    const bool flat = kind == "conv1d";
    const auto groups = params.value("groups", vq::index_type{1});

    auto weight = c.input<float>("weight");
    auto x = c.input<float>("x");
    const vq::index_type outputs = params.at("out").get<vq::index_type>();
    auto bias = c.has_input("bias") ? c.input<float>("bias").data
                                    : std::vector<float>(std::size_t(outputs), 0.f);
    const auto gamma = c.input<float>("bn_weight").data, beta = c.input<float>("bn_bias").data;
    const auto mean = c.input<float>("running_mean").data;
    const auto variance = c.input<float>("running_var").data;
    const vq::batch_norm bn{.gamma = gamma,
                            .beta = beta,
                            .mean = mean,
                            .variance = variance,
                            .epsilon = params.at("eps").get<float>()};

    // Every layer as a two-dimensional one: (O, I, K) -> (O, I, 1, K), (O, I) -> (O, I, 1, 1).
    const auto widen = [](std::vector<vq::index_type> s) {
      if (s.size() == 3) s.insert(s.begin() + 2, 1);
      while (s.size() < 4) s.push_back(1);
      return layers::shape4{s[0], s[1], s[2], s[3]};
    };
    const layers::options how{.stride = pair_of(params, "stride", 1, flat),
                              .padding = pair_of(params, "padding", 0, flat),
                              .dilation = pair_of(params, "dilation", 1, flat),
                              .output_padding = pair_of(params, "output_padding", 0, flat),
                              .groups = groups};
    const vq::tensor_view<float, 4> view{weight.data.data(), widen(weight.shape)};
    const layers::map input(widen(x.shape), x.data);
    const auto run = [&] {
      return transposed ? layers::transposed_convolution(input, view, bias, how)
                        : layers::convolution(input, view, bias, how);
    };

    INFO(c.name());
    golden::check(c, "y_unfused", layers::batch_norm(run(), bn).data);
    const vq::status s = transposed ? vq::fold_batch_norm_transposed(view, bias, bn, groups)
                                    : vq::fold_batch_norm(view, bias, bn);
    REQUIRE(s == vq::status::ok);
    golden::check(c, "fused_weight", weight.data);
    golden::check(c, "fused_bias", bias);
    golden::check(c, "y_fused", run().data);
  }
}
