// PyTorch through libtorch: quantization, range, histogram, and what bitsandbytes does on a CPU to
// quantize to NF4, which is a sequence of PyTorch calls.
#include <string>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "shapes.hpp"
#include "support.hpp"

namespace {

void one_thread() { at::set_num_threads(1); }

at::Tensor values(std::size_t count) {
  return at::from_blob(const_cast<float*>(vqb::floats(count).data()),
                       {static_cast<std::int64_t>(count)}, at::kFloat);
}

// The boundaries between neighbouring levels of NF4.
at::Tensor nf4_bounds() {
  return at::tensor({-0.8480f, -0.6106f, -0.4600f, -0.3397f, -0.2346f, -0.1379f, -0.0455f, 0.0398f,
                     0.1202f, 0.2035f, 0.2920f, 0.3893f, 0.5016f, 0.6427f, 0.8615f});
}

vqb::timed nf4_quantize(std::size_t count) {
  one_thread();
  const auto x = values(count).reshape({-1, 64});
  return [=, bounds = nf4_bounds()] {
    const auto absmax = std::get<0>(x.abs().max(-1));
    const auto inverse = (1.0 / absmax.clamp_min(1e-38)).view({-1, 1});
    const auto scaled = (x * inverse).clamp(-1, 1).reshape({-1});
    const auto codes = at::bucketize(scaled, bounds, true).to(at::kByte);
    const auto packed = codes.slice(0, 0, c10::nullopt, 2).bitwise_left_shift(4) |
                        codes.slice(0, 1, c10::nullopt, 2);
    benchmark::DoNotOptimize(packed.data_ptr());
  };
}

const bool registered = [] {
  for (const auto& set : vqb::working_sets()) {
    const std::size_t n = set.elements;
    vqb::add("quantize_u8", set.name, "torch", {5 * n, vqb::bytes}, [=] {
      one_thread();
      return [x = values(n)] { at::quantize_per_tensor(x, 0.02, 3, at::kQUInt8); };
    });
    vqb::add("quantize_per_channel", set.name, "torch", {5 * n, vqb::bytes}, [=] {
      one_thread();
      const auto x = values(n).reshape({-1, 1024});
      const auto scales = at::full({x.size(0)}, 0.02, at::kDouble);
      const auto zeros = at::zeros({x.size(0)}, at::kLong);
      return [=] { at::quantize_per_channel(x, scales, zeros, 0, at::kQInt8); };
    });
    vqb::add("min_max", set.name, "torch", {4 * n, vqb::bytes}, [=] {
      one_thread();
      return [x = values(n)] { at::aminmax(x); };
    });
    vqb::add("histogram_2048", set.name, "torch", {n, vqb::elements}, [=] {
      one_thread();
      return [x = values(n)] { at::histc(x, 2048, -0.2, 0.2); };
    });
    if (set.name == std::string("DRAM")) continue;  // seconds for each call
    vqb::add("nf4_quantize", set.name, "bitsandbytes", {n, vqb::elements},
             [=] { return nf4_quantize(n); });
  }
  return true;
}();

}  // namespace
