#include <cmath>
#include <string>
#include <type_traits>

#include "golden/golden.hpp"
#include "run.hpp"

namespace {

template <class Code>
using onnx =
    vq::uniform<int{sizeof(Code)} * 8, vq::asymmetric, vq::full,
                std::conditional_t<std::is_signed_v<Code>, vq::signed_codes, vq::unsigned_codes>,
                vq::exact_division>;

// Calls f(Code{}) for the type that a tensor is stored in.
template <class F>
void with_code(const vq::tensor_entry& tensor, F f) {
  REQUIRE((tensor.type == vq::dtype::u8 || tensor.type == vq::dtype::i8));
  if (tensor.type == vq::dtype::u8) {
    f(std::uint8_t{});
  } else {
    f(std::int8_t{});
  }
}
template <class F>
void with_code(const std::string& dtype, F f) {
  if (dtype == "uint8") return f(std::uint8_t{});
  if (dtype == "int8") return f(std::int8_t{});
  if (dtype == "uint16") return f(std::uint16_t{});
  REQUIRE(dtype == "int16");
  f(std::int16_t{});
}

std::string dtype_of(const golden::test_case& c) { return c.params().at("dtype"); }

vq::affine_param param(const golden::test_case& c, const std::string& of) {
  const auto& facts = c.params();
  const std::string zero = facts.contains(of + "_zp") ? of + "_zp" : of + "_zero_point";
  return {facts.at(of + "_scale").get<float>(), facts.at(zero).get<std::int32_t>()};
}

template <int Rank, class T>
vq::tensor_view<const T, Rank> view(const golden::array<T>& a) {
  REQUIRE(a.shape.size() == std::size_t{Rank});
  vq::shape_type<Rank> shape{};
  for (std::size_t i = 0; i < shape.size(); ++i) shape[i] = a.shape[i];
  return {a.data.data(), shape};
}
// As a view of (columns, rows): what linear takes as weights.
template <class T>
vq::tensor_view<const T, 2> transposed(const vq::tensor_view<const T, 2>& v) {
  return {v.data_handle(), {v.extent(1), v.extent(0)}, {v.stride(1), v.stride(0)}};
}

// Codes and their values, checked as the outputs "q" and "dequantized".
template <class Q, class V>
void quantize_and_back(const golden::test_case& c, const V& x,
                       const std::vector<vq::affine_param>& params,
                       const vq::shape_type<V::rank()>& order) {
  using code = typename Q::code_type;
  const Q q;
  const auto size = static_cast<std::size_t>(x.size());
  std::vector<code> codes(size), stored(size);
  std::vector<float> values(size), back(size);
  REQUIRE(vq::quantize(q, x, params, codes) == vq::status::ok);
  const vq::tensor_view<float, V::rank()> out{back.data(), x.extents(), order};
  REQUIRE(vq::dequantize(q, codes, params, out) == vq::status::ok);
  // Codes are in the order of x's indices; the stored ones in the order of its memory.
  const vq::tensor_view<code, V::rank()> to{stored.data(), x.extents(), order};
  std::vector<float> as_float(codes.begin(), codes.end());
  to.write(0, as_float);
  golden::check(c, "q", stored);
  golden::check(c, "dequantized", back);
}

template <class Code>
std::vector<vq::affine_param> stored_params(const golden::test_case& c) {
  const auto scales = c.input<float>("scale").data;
  const auto zeros = c.input<std::int32_t>("zero_point").data;
  std::vector<vq::affine_param> all;
  for (std::size_t i = 0; i < scales.size(); ++i) all.push_back({scales[i], zeros[i]});
  return all;
}

// f of every code as a table of codes: how any function of one tensor is carried out.
template <class Code, class F>
void check_table(const golden::test_case& c, F f) {
  const vq::quantizer<onnx<Code>> q;
  const auto x = c.input<Code>("X").data;
  const std::vector<vq::affine_param> from{param(c, "x")}, to{param(c, "y")};
  std::vector<float> values(x.size());
  const vq::index_type size = static_cast<vq::index_type>(x.size());
  REQUIRE(vq::dequantize(q, x, from, vq::tensor_view<float, 1>{values.data(), {size}}) ==
          vq::status::ok);
  for (float& v : values) v = f(v);
  std::vector<Code> y(x.size());
  REQUIRE(vq::quantize(q, vq::tensor_view<const float, 1>{values.data(), {size}}, to, y) ==
          vq::status::ok);
  golden::check(c, "Y", y);
}

}  // namespace

TEST_CASE("golden: QuantizeLinear and DequantizeLinear", "[golden][nn]") {
  for (const auto& c : golden::cases("ort_ops", "QuantizeLinear")) {
    with_code(dtype_of(c), [&]<class Code>(Code) {
      const auto x = c.input<float>("x");
      quantize_and_back<vq::quantizer<onnx<Code>>>(
          c, view<1>(x), {{c.params().at("scale"), c.params().at("zero_point")}}, {1});
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QuantizeLinear_axis")) {
    with_code(dtype_of(c), [&]<class Code>(Code) {
      const auto array = c.input<float>("x");
      const auto x = view<4>(array);
      const auto params = stored_params<Code>(c);
      const int axis = c.params().at("axis");
      if (axis == 0) {
        quantize_and_back<vq::quantizer<onnx<Code>, vq::per_channel<0>>>(c, x, params, x.strides());
      } else if (axis == 1) {
        quantize_and_back<vq::quantizer<onnx<Code>, vq::per_channel<1>>>(c, x, params, x.strides());
      } else {
        REQUIRE(axis == 3);
        quantize_and_back<vq::quantizer<onnx<Code>, vq::per_channel<3>>>(c, x, params, x.strides());
      }
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QuantizeLinear_blocked")) {
    const auto array = c.input<float>("x");
    const auto x = view<2>(array);
    auto params = stored_params<std::uint8_t>(c);
    const int axis = c.params().at("axis"), block = c.params().at("block_size");
    using policy = onnx<std::uint8_t>;
    if (axis == 1 && block == 16) {
      quantize_and_back<vq::quantizer<policy, vq::per_group<16>>>(c, x, params, x.strides());
    } else if (axis == 1 && block == 32) {
      quantize_and_back<vq::quantizer<policy, vq::per_group<32>>>(c, x, params, x.strides());
    } else {
      // Blocks along the first axis are groups along the last one of the transposed tensor.
      REQUIRE((axis == 0 && block == 8));
      const auto turned = transposed(x);
      const std::size_t blocks = params.size() / static_cast<std::size_t>(x.extent(1));
      std::vector<vq::affine_param> ordered;
      for (std::size_t column = 0; column < params.size() / blocks; ++column) {
        for (std::size_t b = 0; b < blocks; ++b) {
          ordered.push_back(params[b * (params.size() / blocks) + column]);
        }
      }
      quantize_and_back<vq::quantizer<policy, vq::per_group<8>>>(c, turned, ordered,
                                                                 turned.strides());
    }
  }
  for (const auto& c : golden::cases("ort_ops", "DequantizeLinear_int32")) {
    const auto q = c.input<std::int32_t>("q").data;
    const std::vector<float> scale{c.params().at("scale")};
    const vq::shape_type<2> row{1, static_cast<vq::index_type>(q.size())};
    std::vector<float> x(q.size());
    REQUIRE(vq::requantize(vq::tensor_view<const std::int32_t, 2>{q.data(), row},
                           vq::to_float{.scales = scale},
                           vq::tensor_view<float, 2>{x.data(), row}) == vq::status::ok);
    golden::check(c, "x", x);
  }
}

TEST_CASE("golden: DynamicQuantizeLinear is min-max in single precision", "[golden][nn]") {
  constexpr vq::convention dynamic{.single_precision = true};
  for (const auto& c : golden::cases("ort_ops", "DynamicQuantizeLinear")) {
    const vq::quantizer<onnx<std::uint8_t>> q;
    const auto x = c.input<float>("x").data;
    const vq::tensor_view<const float, 1> values{x.data(), {static_cast<vq::index_type>(x.size())}};
    std::vector<vq::affine_param> p(1);
    REQUIRE(vq::fit(q, values, p, dynamic) == vq::status::ok);
    std::vector<std::uint8_t> codes(x.size());
    REQUIRE(vq::quantize(q, values, p, codes) == vq::status::ok);
    golden::check(c, "q", codes);
    golden::check(c, "scale", p[0].scale);
    golden::check(c, "zero_point", p[0].zero_point);
  }
}

TEST_CASE("golden: MatMulInteger, QLinearMatMul and QGemm", "[golden][nn]") {
  for (const auto& c : golden::cases("ort_ops", "MatMulInteger")) {
    with_code(c.input_entry("A"), [&]<class A>(A) {
      with_code(c.input_entry("B"), [&]<class B>(B) {
        const auto a = c.input<A>("A");
        const auto b = c.input<B>("B");
        const std::size_t rank = a.shape.size();
        const vq::index_type rows = a.shape[rank - 2], depth = a.shape[rank - 1];
        const vq::index_type columns = b.shape[rank - 1];
        std::vector<std::int32_t> y;
        for (vq::index_type at = 0; at * rows * depth < std::ssize(a.data); ++at) {
          const auto part = run::linear(
              vq::tensor_view<const A, 2>{a.data.data() + at * rows * depth, {rows, depth}},
              c.params().at("a_zero_point"),
              transposed(vq::tensor_view<const B, 2>{b.data.data() + at * depth * columns,
                                                     {depth, columns}}),
              {c.params().at("b_zero_point")}, {}, vq::to_accumulators{});
          y.insert(y.end(), part.begin(), part.end());
        }
        golden::check(c, "Y", y);
      });
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QLinearMatMul")) {
    with_code(c.input_entry("A"), [&]<class A>(A) {
      with_code(c.input_entry("B"), [&]<class B>(B) {
        const auto a = c.input<A>("A");
        const auto b = c.input<B>("B");
        const vq::affine_param pa = param(c, "a"), py = param(c, "y");
        const auto m = run::multipliers(pa, c.input<float>("b_scale").data, py);
        const vq::to_codes<A> stage{.multipliers = m, .zero_point = py.zero_point};
        golden::check(c, "Y",
                      run::linear(view<2>(a), pa.zero_point, transposed(view<2>(b)),
                                  c.input<std::int32_t>("b_zero_point").data, {}, stage));
      });
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QGemm")) {
    with_code(c.input_entry("A"), [&]<class A>(A) {
      REQUIRE(c.params().at("transB") == 1);
      const auto a = c.input<A>("A");
      const auto b = c.input<std::int8_t>("B");
      const vq::affine_param pa = param(c, "a"), py = param(c, "y");
      const auto m = run::multipliers(pa, c.input<float>("b_scale").data, py);
      const vq::to_codes<A> stage{.multipliers = m, .zero_point = py.zero_point};
      golden::check(c, "Y",
                    run::linear(view<2>(a), pa.zero_point, view<2>(b), {},
                                c.input<std::int32_t>("bias_i32").data, stage));
    });
  }
}

TEST_CASE("golden: QLinearConv and ConvInteger", "[golden][nn]") {
  for (const char* op : {"QLinearConv", "ConvInteger"}) {
    for (const auto& c : golden::cases("ort_ops", op)) {
      with_code(c.input_entry("X"), [&]<class X>(X) {
        with_code(c.input_entry("W"), [&]<class W>(W) {
          const auto& facts = c.params();
          const auto at = [&](const char* name, int i) {
            return facts.at(name).at(static_cast<std::size_t>(i)).template get<vq::index_type>();
          };
          const vq::window2d window{
              .stride = {at("strides", 0), at("strides", 1)},
              .padding = {at("pads", 0), at("pads", 2), at("pads", 1), at("pads", 3)},
              .dilation = {at("dilations", 0), at("dilations", 1)}};
          const auto x = c.input<X>("X");
          const auto w = c.input<W>("W");
          const std::int32_t x_zero = facts.at("x_zero_point");
          const std::vector<std::int32_t> w_zero{facts.at("w_zero_point")};
          run::bias_type bias;
          if (c.has_input("bias_i32")) bias = c.input<std::int32_t>("bias_i32").data;
          const auto convolve = [&](const auto& stage) {
            return run::conv2d(view<4>(x), x_zero, view<4>(w), facts.at("group"), w_zero, bias,
                               window, stage);
          };
          if (c.op() == "ConvInteger") {
            golden::check(c, "Y", convolve(vq::to_accumulators{}));
            return;
          }
          const vq::affine_param y = param(c, "y");
          const auto m = run::multipliers(param(c, "x"), c.input<float>("w_scale").data, y);
          golden::check(c, "Y",
                        convolve(vq::to_codes<X>{.multipliers = m, .zero_point = y.zero_point}));
        });
      });
    }
  }
}

TEST_CASE("golden: QLinearAdd, QLinearMul, pooling and tables", "[golden][nn]") {
  for (const auto& c : golden::cases("ort_ops", "QLinearAdd")) {
    with_code(c.input_entry("A"), [&]<class A>(A) {
      const auto a = c.input<A>("A").data, b = c.input<A>("B").data;
      const auto p = vq::fit_add(param(c, "a"), param(c, "b"), param(c, "y"), vq::all_codes<A>);
      REQUIRE(p);
      std::vector<A> y(a.size());
      const vq::shape_type<1> row{static_cast<vq::index_type>(a.size())};
      REQUIRE(vq::add(*p, vq::tensor_view<const A, 1>{a.data(), row},
                      vq::tensor_view<const A, 1>{b.data(), row},
                      vq::tensor_view<A, 1>{y.data(), row}) == vq::status::ok);
      golden::check(c, "Y", y);
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QLinearMul")) {
    with_code(c.input_entry("A"), [&]<class A>(A) {
      const auto a = c.input<A>("A").data, b = c.input<A>("B").data;
      const vq::affine_param pa = param(c, "a"), pb = param(c, "b"), py = param(c, "y");
      std::vector<std::int32_t> products;
      for (std::size_t i = 0; i < a.size(); ++i) {
        products.push_back((a[i] - pa.zero_point) * (b[i] - pb.zero_point));
      }
      const auto m = run::multipliers(pa, {pb.scale}, py);
      const vq::to_codes<A> stage{.multipliers = m, .zero_point = py.zero_point};
      std::vector<A> y(a.size());
      const vq::shape_type<2> row{1, static_cast<vq::index_type>(a.size())};
      REQUIRE(vq::requantize(vq::tensor_view<const std::int32_t, 2>{products.data(), row}, stage,
                             vq::tensor_view<A, 2>{y.data(), row}) == vq::status::ok);
      golden::check(c, "Y", y);
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QLinearGlobalAveragePool")) {
    with_code(c.input_entry("X"), [&]<class X>(X) {
      const auto x = c.input<X>("X");
      const vq::affine_param px = param(c, "x"), py = param(c, "y");
      const auto m = run::multipliers(px, {vq::average_scale(x.shape[2] * x.shape[3]).scale}, py);
      std::vector<X> y(static_cast<std::size_t>(x.shape[0] * x.shape[1]));
      REQUIRE(
          vq::global_average_pool(view<4>(x), px.zero_point,
                                  vq::to_codes<X>{.multipliers = m, .zero_point = py.zero_point},
                                  {y.data(), {x.shape[0], x.shape[1], 1, 1}}) == vq::status::ok);
      golden::check(c, "Y", y);
    });
  }
  for (const auto& c : golden::cases("ort_ops", "MaxPool")) {
    with_code(c.input_entry("X"), [&]<class X>(X) {
      const auto& facts = c.params();
      const auto x = c.input<X>("X");
      const vq::size2d size{facts.at("kernel_shape").at(0), facts.at("kernel_shape").at(1)};
      const vq::window2d window{.stride = {facts.at("strides").at(0), facts.at("strides").at(1)},
                                .padding = {facts.at("pads").at(0), facts.at("pads").at(2),
                                            facts.at("pads").at(1), facts.at("pads").at(3)}};
      const vq::size2d out = vq::output_size({x.shape[2], x.shape[3]}, size, window);
      const vq::shape_type<4> shape{x.shape[0], x.shape[1], out.height, out.width};
      std::vector<X> y(static_cast<std::size_t>(vq::volume(shape)));
      REQUIRE(vq::max_pool2d(view<4>(x), size, window, {y.data(), shape}) == vq::status::ok);
      golden::check(c, "Y", y);
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QLinearSigmoid")) {
    with_code(c.input_entry("X"), [&]<class X>(X) {
      check_table<X>(c, [](float x) { return 1 / (1 + std::exp(-x)); });
    });
  }
  for (const auto& c : golden::cases("ort_ops", "QLinearLeakyRelu")) {
    with_code(c.input_entry("X"), [&]<class X>(X) {
      const auto alpha = c.params().at("alpha").get<float>();
      check_table<X>(c, [&](float x) { return x < 0 ? alpha * x : x; });
    });
  }
}
