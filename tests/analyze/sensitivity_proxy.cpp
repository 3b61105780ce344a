#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <vq/analyze/sensitivity_proxy.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;
using floats = std::vector<float>;
using view = vq::tensor_view<const float, 2>;

view matrix(const floats& values, index_type rows) {
  return {values.data(), {rows, std::ssize(values) / rows}};
}

}  // namespace

TEST_CASE("sensitivity proxy: noise of outputs, by hand", "[analyze]") {
  // W x = 1*1 + 2*2 = 5, 3; Q(W) x = 1*1 + 1.5*2 = 4, 3.5: e = -1, 0.5
  const floats x{1, 2}, w{1, 2, -1, 2}, q{1, 1.5f, -0.5f, 2}, g{3, 2};
  const auto found = vq::noise_of_outputs(matrix(x, 1), matrix(w, 2), matrix(q, 2), g);
  REQUIRE(found);
  CHECK(found->signal == Approx(34));
  CHECK(found->error == Approx(1.25));
  CHECK(found->weighted == Approx(9 + 1));
  CHECK(found->samples == 1);
  CHECK(found->noise_to_signal() == Approx(1.25 / 34));
  CHECK(found->sqnr_db() == Approx(14.3457).margin(1e-4));  // 10 log10(27.2)
}

TEST_CASE("sensitivity proxy: samples in two parts are samples in one", "[analyze]") {
  std::mt19937 random(1);
  const auto numbers = [&](std::size_t count) {
    floats values(count);
    for (float& v : values) v = static_cast<float>(random() % 2001) / 1000 - 1;
    return values;
  };
  constexpr std::size_t in = 37, out = 5;
  const floats w = numbers(in * out), q = numbers(in * out), x = numbers(6 * in),
               g = numbers(6 * out);
  const auto part = [&](std::size_t from, std::size_t rows) {
    const floats some(x.begin() + std::ptrdiff_t(from * in),
                      x.begin() + std::ptrdiff_t((from + rows) * in));
    return *vq::noise_of_outputs(matrix(some, index_type(rows)), matrix(w, out), matrix(q, out),
                                 std::span(g).subspan(from * out, rows * out));
  };
  const auto whole = part(0, 6);
  auto merged = part(0, 2);
  merged.merge(part(2, 4));
  CHECK(merged.signal == Approx(whole.signal));
  CHECK(merged.error == Approx(whole.error));
  CHECK(merged.weighted == Approx(whole.weighted));
  CHECK(merged.samples == 6);

  double error = 0;  // in double, in the other order
  for (std::size_t r = 0; r < 6; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      double e = 0;
      for (std::size_t i = in; i-- > 0;) {
        e += (double{q[o * in + i]} - double{w[o * in + i]}) * double{x[r * in + i]};
      }
      error += e * e;
    }
  }
  CHECK(whole.error == Approx(error).epsilon(1e-5));
}

TEST_CASE("sensitivity proxy: no error is no noise, sizes must agree", "[analyze]") {
  const floats x{1, 2}, w{1, 2, -1, 2}, zeros(4);
  CHECK(vq::noise_of_outputs(matrix(x, 1), matrix(w, 2), matrix(w, 2))->noise_to_signal() == 0);
  CHECK(std::isinf(
      vq::noise_of_outputs(matrix(x, 1), matrix(zeros, 2), matrix(w, 2))->noise_to_signal()));
  const auto mismatch = vq::status::size_mismatch;
  CHECK(vq::noise_of_outputs(matrix(x, 2), matrix(w, 2), matrix(w, 2)).error() == mismatch);
  CHECK(vq::noise_of_outputs(matrix(x, 1), matrix(w, 2), matrix(x, 1)).error() == mismatch);
  CHECK(vq::noise_of_outputs(matrix(x, 1), matrix(w, 2), matrix(w, 2), x).has_value());
  CHECK(vq::noise_of_outputs(matrix(x, 1), matrix(w, 2), matrix(w, 2), w).error() == mismatch);
}

TEST_CASE("sensitivity proxy: Fisher error is exact where the Hessian is diagonal", "[analyze]") {
  // L(w) = sum h (w - w0)^2 / 2 grows by sum h e^2 / 2.
  const floats h{4, 1, 0}, w{1, -2, 5}, q{1.5f, -1, 9};
  CHECK(*vq::fisher_error(h, w, q) == Approx((4 * 0.25 + 1) / 2));
  CHECK(*vq::fisher_error(h, w, w) == 0);
  CHECK(vq::fisher_error(h, w, floats{1}).error() == vq::status::size_mismatch);
  // With all curvatures equal the trace says the same.
  const floats same{2, 2, 2};
  CHECK(*vq::trace_error(6, w, q) == Approx(*vq::fisher_error(same, w, q)));
  CHECK(*vq::trace_error(6, w, q) == Approx(17.25));
  CHECK(vq::trace_error(6, w, floats{1}).error() == vq::status::size_mismatch);
  CHECK(vq::trace_error(6, {}, {}).error() == vq::status::no_data);
}

TEST_CASE("sensitivity proxy: Hutchinson's trace", "[analyze]") {
  constexpr index_type n = 12;
  const auto multiply = [](float off_diagonal) {
    return [off_diagonal](std::span<const float> v, std::span<float> to) {
      float sum = 0;
      for (const float x : v) sum += x;
      for (std::size_t i = 0; i < v.size(); ++i) {
        to[i] = (static_cast<float>(i) - off_diagonal) * v[i] + off_diagonal * sum;
      }
      return vq::status::ok;
    };
  };
  // Diagonal 0 .. 11: one probe knows it all.
  CHECK(vq::hutchinson_trace(n, 1, multiply(0))->trace == Approx(66));
  // Off the diagonal 0.5: the variance of a probe is 2 * 132 * 0.25 = 66.
  const auto found = vq::hutchinson_trace(n, 400, multiply(0.5f));
  REQUIRE(found);
  CHECK(found->standard_error == Approx(std::sqrt(66.0 / 400)).epsilon(0.2));
  CHECK(std::abs(found->trace - 66) < 4 * found->standard_error);
  CHECK(vq::hutchinson_trace(n, 400, multiply(0.5f))->trace == found->trace);
  CHECK(vq::hutchinson_trace(n, 400, multiply(0.5f), 2)->trace != found->trace);

  CHECK(vq::hutchinson_trace(0, 1, multiply(0)).error() == vq::status::no_data);
  CHECK(vq::hutchinson_trace(n, 0, multiply(0)).error() == vq::status::no_data);
  const auto fails = [](std::span<const float>, std::span<float>) {
    return vq::status::bad_argument;
  };
  CHECK(vq::hutchinson_trace(n, 1, fails).error() == vq::status::bad_argument);
  const auto breaks = [](std::span<const float>, std::span<float> to) {
    for (float& x : to) x = INFINITY;
    return vq::status::ok;
  };
  CHECK(vq::hutchinson_trace(n, 1, breaks).error() == vq::status::not_finite);
}

TEST_CASE("sensitivity proxy: costs of layers make a table, and add up", "[analyze]") {
  const std::vector<vq::sensitivity_layer> layers{{"stem", "weights"}, {"head", "weights"}};
  const auto cost = [](index_type layer,
                       index_type format) -> vq::result<std::vector<double>, vq::failure> {
    const double c = static_cast<double>((layer + 1) * (format + 1));
    return std::vector<double>{c, 1.5 * c};
  };
  using vq::procedure;
  const auto table = vq::analyze_sensitivity(
      layers, {"int8", "int4"}, vq::additive_cost(cost),
      {.procedures = {procedure::alone, procedure::all_but_one, procedure::cumulative}});
  REQUIRE(table);
  REQUIRE(table->complete);
  CHECK(table->of(procedure::alone, 1, 1)->measure == std::vector<double>{4, 6});
  CHECK(table->of(procedure::all_but_one, 1, 1)->measure == std::vector<double>{2, 3});
  CHECK(table->of(procedure::cumulative, 1, 1)->measure == std::vector<double>{6, 9});
  CHECK(table->ranks(0).front().layer == 1);

  const auto uneven = [](index_type layer,
                         index_type) -> vq::result<std::vector<double>, vq::failure> {
    return std::vector<double>(static_cast<std::size_t>(layer + 1), 1.0);
  };
  const std::vector<index_type> both{0, 0};
  CHECK(vq::additive_cost(uneven)(both, 0).error().code == vq::status::bad_argument);
  const auto refuses = [](index_type, index_type) -> vq::result<std::vector<double>, vq::failure> {
    return vq::failure{vq::status::not_found, "no such format"};
  };
  CHECK(vq::additive_cost(refuses)(both, 0).error().message == "no such format");
}
