// Weight-only products: every instruction set stays within the bound; integer sums are exact.
#include <vq/policy/nf4.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"
#include "nn/weight_only_cases.hpp"

using vq::index_type;
namespace cases = weight_only_cases;
using cases::products;

namespace {

using int4 = vq::quantizer<vq::uniform<4>, vq::per_group<32>>;
using int4_asymmetric =
    vq::quantizer<vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>, vq::per_group<40>>;
using nf4 = vq::quantizer<vq::nf4, vq::per_block<64>>;
using int8_by_output = vq::quantizer<vq::uniform<8>, vq::per_channel<0>>;

template <class Q>
void check_layers(unsigned seed) {
  cases::random r(seed);
  const auto native = vq::simd::native;
  for (int i = 0; i < random_cases(60); ++i) {
    CAPTURE(i);
    REQUIRE(cases::worst_error<Q, float, float>(native, r, products::floats) <= 1);
    REQUIRE(cases::worst_error<Q, vq::bfloat16, float>(native, r, products::bfloat16s) <= 1);
    REQUIRE(cases::worst_error<Q, float, float>(native, r, products::integers) <= 1);
  }
}

}  // namespace

TEST_CASE("weight_only: INT4 by group is within its bound", "[simd]") { check_layers<int4>(1); }
TEST_CASE("weight_only: INT4 with zero points is within its bound", "[simd]") {
  check_layers<int4_asymmetric>(2);
}
TEST_CASE("weight_only: NF4 by block is within its bound", "[simd]") { check_layers<nf4>(3); }
TEST_CASE("weight_only: INT8 by output is within its bound", "[simd]") {
  check_layers<int8_by_output>(4);
}

TEST_CASE("weight_only: threads do not change a bit", "[simd]") {
  cases::random r(8);
  cases::weights<nf4> w(r, 300, 192, vq::scale_format::half);
  const auto packed = w.pack();
  REQUIRE(packed);
  for (const index_type rows : {1, 3, 80}) {
    std::vector<float> x(static_cast<std::size_t>(rows * 192));
    for (auto& v : x) v = r.normal();
    const vq::tensor_view<const float, 2> in{x.data(), {rows, 192}};
    std::vector<float> alone(static_cast<std::size_t>(rows * 300)), shared(alone.size());
    std::vector<std::byte> workspace(
        static_cast<std::size_t>(vq::weight_only_workspace(in, *packed, 3)));
    const auto run = [&](std::vector<float>& y, const auto& parallel) {
      return vq::linear(vq::simd::native, in, *packed, {},
                        vq::tensor_view<float, 2>{y.data(), {rows, 300}}, workspace, parallel);
    };
    REQUIRE(run(alone, vq::serial) == vq::status::ok);
    REQUIRE(run(shared, cases::backwards{}) == vq::status::ok);
    REQUIRE(shared == alone);
  }
}

TEST_CASE("weight_only: activations get the codes and sums of the reference", "[simd]") {
  cases::random r(9);
  for (index_type count = 8; count <= 256; count += 8) {
    std::vector<float> x(static_cast<std::size_t>(count));
    for (auto& v : x) v = r.normal();
    x[3] = 2.5f;  // ties with a scale of 1
    x[5] = -3.5f;
    for (const float scale : {1.f, 0.021f, 1e-30f}) {
      for (const index_type group : {8, 24, 32, 64, 200, 4096}) {
        std::vector<std::int8_t> want(x.size() + 1, 77), got(x.size() + 1, 77);
        const auto groups = static_cast<std::size_t>((count + group - 1) / group);
        std::vector<std::int32_t> want_sums(groups + 1, 77), got_sums(groups + 1, 77);
        const vq::affine_param p{scale, 0};
        vq::quantize_activations{}(x.data(), count, p, group, want.data(), want_sums.data());
        vq::kernel<vq::quantize_activations, vq::simd::native_t>{}(x.data(), count, p, group,
                                                                   got.data(), got_sums.data());
        CAPTURE(count, scale, group);
        REQUIRE(got == want);
        REQUIRE(got_sums == want_sums);
      }
    }
  }
}

TEST_CASE("weight_only: integer sums are those of the reference", "[simd]") {
  // Scales of 1 keep all sums integers below 2^24: the result does not depend on their order.
  cases::random r(7);
  using operation = vq::multiply_weights<std::int8_t>;
  const auto check = [&](auto q, index_type rows, index_type inputs) {
    cases::weights<decltype(q)> w(r, 64, inputs, vq::scale_format::bfloat16);
    for (auto& p : w.params) p.scale = 1;
    const auto packed = w.pack();
    REQUIRE(packed);
    const index_type depth = packed->depth(), segments = packed->segments();
    std::vector<std::int8_t> x(static_cast<std::size_t>(rows * depth));
    std::vector<std::int32_t> sums(static_cast<std::size_t>(rows * segments));
    const bool extreme = r.between(0, 3) == 0;
    for (index_type m = 0; m < rows; ++m) {
      for (index_type k = 0; k < depth; ++k) {
        // Only whole steps of 8: padding would have to be zero.
        const auto code = extreme ? index_type{-127} : r.between(-127, 127);
        const index_type segment = k / packed->block * packed->segments_of_block() +
                                   k % packed->block / vq::weight_only::longest;
        x[static_cast<std::size_t>(m * depth + k)] = static_cast<std::int8_t>(code);
        sums[static_cast<std::size_t>(m * segments + segment)] += static_cast<std::int32_t>(code);
      }
    }
    const vq::activation_rows<std::int8_t> a{x.data(), depth, rows, sums.data()};
    std::vector<float> want(static_cast<std::size_t>(rows * 64)), got(want.size());
    alignas(64) static std::byte scratch[operation::scratch_bytes];
    operation{}(*packed, 0, a, want.data(), scratch);
    vq::kernel<operation, vq::simd::native_t>{}(*packed, 0, a, got.data(), scratch);
    CAPTURE(rows, inputs);
    REQUIRE(got == want);
  };
  for (const index_type rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
    for (index_type inputs = 8; inputs <= 328; inputs += 40) {
      check(int4{}, rows, inputs);
      check(int4_asymmetric{}, rows, inputs);
      check(int8_by_output{}, rows, inputs);
      check(nf4{}, rows, (inputs + 63) / 64 * 64);
    }
  }
}
