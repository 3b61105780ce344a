// Linear layers whose weights stay in 4 or 8 bits, from one row (a token) to 256, warm and with
// weights that come from memory. Names: shapes.hpp; s8 means activations that the call quantizes.
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include <vq/nn.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "shapes.hpp"
#include "support.hpp"

namespace {

using vq::index_type;

constexpr bool multiplies_bfloat16 = std::is_same_v<vq::simd::native_arch, vq::simd::avx512_bf16>;

vq::weight_only_format int4(index_type group) {
  vq::weight_only_format f;
  f.block = group;
  f.scales = vq::scale_format::half;
  for (int i = 0; i < 16; ++i) f.levels[i] = static_cast<float>(i < 8 ? i : i - 16);
  return f;
}
vq::weight_only_format nf4(index_type group) {
  vq::weight_only_format f;
  f.block = group;
  f.scales = vq::scale_format::bfloat16;
  for (int i = 0; i < 16; ++i) f.levels[i] = vq::nf4_table::levels[i];
  return f;
}
vq::weight_only_format int8_per_column(index_type inputs) {
  vq::weight_only_format f;
  f.bits = 8;
  f.block = inputs;
  return f;
}

struct some_weights {
  static int code(index_type n, index_type k) {
    return static_cast<int>((n * 7919 + k * 104729 + k / 8 * 31) % 251 - 125);
  }
  static float scale(index_type n, index_type b) {
    return 0.01f + static_cast<float>((n + b) % 7) * 0.003f;
  }
  static int zero(index_type, index_type) { return 0; }
};

std::size_t bytes_of(const vq::weight_only_format& f, const vqb::gemm_shape& s) {
  return static_cast<std::size_t>(vq::weight_only_size(f, s.columns, s.depth));
}

// `copies` matrices, used in turn; all panels are alike. The peers of a row write to slots 0 to 3.
vq::weight_only weights(const vq::weight_only_format& f, const vqb::gemm_shape& s,
                        std::size_t copies) {
  const std::size_t bytes = bytes_of(f, s), panel = bytes_of(f, {1, s.depth, 64});
  const auto storage = vqb::scratch<std::uint8_t>(6, copies * bytes);
  auto w = *vq::pack_weight_only(f, 64, s.depth, some_weights{}, storage);
  for (std::size_t at = panel; at < copies * bytes; at += panel) {
    std::memcpy(storage.data() + at, storage.data(), panel);
  }
  w.outputs = s.columns;
  return w;
}

template <class X, class E, class... Mode>
vqb::timed product(E, const vq::weight_only_format& f, const vqb::gemm_shape& s, std::size_t copies,
                   int threads, Mode... mode) {
  const auto w = weights(f, s, copies);
  const auto count = static_cast<std::size_t>(s.rows * s.depth);
  const auto values = vqb::floats(count);
  const auto activations = vqb::scratch<X>(4, count);
  for (std::size_t i = 0; i < count; ++i) activations[i] = static_cast<X>(values[i]);
  const vq::tensor_view<const X, 2> x{activations.data(), {s.rows, s.depth}};
  const auto out = vqb::scratch<float>(5, static_cast<std::size_t>(s.rows * s.columns));
  const vq::tensor_view<float, 2> y{out.data(), {s.rows, s.columns}};
  const auto workspace = vqb::scratch_bytes(
      7, static_cast<std::size_t>(vq::weight_only_workspace(mode..., x, w, threads)));
  return [=, i = std::size_t{0}]() mutable {
    auto one = w;
    one.storage += static_cast<index_type>(i) * w.size_bytes();
    if (threads == 1) {
      static_cast<void>(vq::linear(E{}, mode..., x, one, {}, y, workspace));
    } else {
      static_cast<void>(vq::linear(E{}, mode..., x, one, {}, y, workspace, vqb::pool(threads)));
    }
    i = (i + 1) % copies;
  };
}

// One kernel: all shapes, ours and what the hardware allows.
template <class X, class... Mode>
void add(const std::string& kernel, auto format, vqb::peak peak, Mode... mode) {
  const auto one = [=](const vqb::gemm_shape& s, bool cold, int threads) {
    const auto f = format(s);
    const std::size_t bytes = bytes_of(f, s);
    const std::size_t copies = cold ? vqb::beyond_cache_bytes() / bytes + 1 : 1;
    const std::string name = s.case_name() + (cold ? "cold" : "");
    const vqb::work done{s.operations(), vqb::operations};
    const auto run = [&](const char* who, auto e) {
      vqb::add(
          kernel, name, who, done, [=] { return product<X>(e, f, s, copies, threads, mode...); },
          threads);
    };
    run("native", vq::simd::native);
#if defined(__AVX2__)
    if (threads == 1 && s.rows <= 16) run("avx2", vq::simd::on<vq::simd::avx2>{});
#endif
    if (threads == 1 && s.rows == 1 && !cold && s.columns == s.depth) run("scalar", vq::scalar);
    if (s.rows == 1) {
      vqb::limit_read(kernel, name, bytes, done, cold, threads);
    } else {
      vqb::limit_peak(kernel, name, peak, threads);
    }
  };
  for (const auto& s : vqb::weight_only_shapes) one(s, false, 1);
  one(vqb::cold_shape, true, 1);
  one(vqb::cold_shape, true, 2);
  one({64, 4096, 4096}, false, 2);
}

const bool registered = [] {
  using vq::bfloat16;
  constexpr auto floats = vqb::peak::f32;
  constexpr auto pairs = multiplies_bfloat16 ? vqb::peak::bf16 : floats;
  for (const int group : {32, 64, 128}) {
    add<float>(
        "weight_only_int4_g" + std::to_string(group) + "_s8",
        [=](const vqb::gemm_shape&) { return int4(group); }, vqb::peak::int8, vq::dynamic_int8);
  }
  const auto nf4_64 = [](const vqb::gemm_shape&) { return nf4(64); };
  add<float>("weight_only_nf4_g64_s8", nf4_64, vqb::peak::int8, vq::dynamic_int8);
  add<bfloat16>("weight_only_nf4_g64_bf16", nf4_64, pairs);
  add<float>("weight_only_nf4_g64_f32", nf4_64, floats);
  add<float>(
      "weight_only_int8_s8", [](const vqb::gemm_shape& s) { return int8_per_column(s.depth); },
      vqb::peak::int8, vq::dynamic_int8);
  return true;
}();

}  // namespace
