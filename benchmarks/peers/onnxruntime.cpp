// ONNX Runtime 1.22 and later: models of one operator, built in memory. QuantizeLinear divides by
// the scale, as ONNX asks; the others multiply by its reciprocal.
#include <cstring>
#include <memory>
#include <onnxruntime_cxx_api.h>
#include <string>
#include <utility>
#include <vector>

#include "shapes.hpp"
#include "support.hpp"

namespace {

using shape = std::vector<std::int64_t>;

template <class T>
constexpr ONNXTensorElementDataType type_of = Ort::TypeToTensorType<T>::type;

// A tensor that ONNX Runtime owns.
template <class T>
Ort::Value tensor(const T* data, const shape& dims) {
  Ort::AllocatorWithDefaultOptions memory;
  auto value = Ort::Value::CreateTensor(memory, dims.data(), dims.size(), type_of<T>);
  std::size_t count = 1;
  for (const auto d : dims) count *= static_cast<std::size_t>(d);
  std::memcpy(value.GetTensorMutableRawData(), data, count * sizeof(T));
  return value;
}
template <class T>
Ort::Value filled(T content, const shape& dims) {
  std::size_t count = 1;
  for (const auto d : dims) count *= static_cast<std::size_t>(d);
  return tensor(std::vector<T>(count, content).data(), dims);
}

// One node, or several with the same first input and constants of their own.
struct node {
  const char* name;
  const char* domain = "";
  std::vector<std::pair<const char*, std::vector<std::int64_t>>> attributes = {};

  Ort::Node make(const std::vector<std::string>& in, const std::string& out) const {
    std::vector<Ort::OpAttr> list;
    for (const auto& [key, values] : attributes) {
      const bool one = values.size() == 1;
      list.emplace_back(key, values.data(), one ? 1 : static_cast<int>(values.size()),
                        one ? ORT_OP_ATTR_INT : ORT_OP_ATTR_INTS);
    }
    return Ort::Node(name, domain, out, in, {out}, list);
  }
};

const Ort::Env& environment() {
  static const Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
  return env;
}

struct model {
  Ort::Session session{nullptr};
  Ort::IoBinding binding{nullptr};

  // `constants` makes the inputs that follow the first one.
  template <class Constants>
  model(const node& n, Ort::Value input, Constants constants, ONNXTensorElementDataType out_type,
        const shape& out_shape, std::size_t copies = 1) {
    Ort::Graph graph;
    std::vector<Ort::ValueInfo> inputs, outputs;
    const auto in = input.GetTensorTypeAndShapeInfo();
    const auto in_type =
        Ort::TypeInfo::CreateTensorInfo(Ort::ConstTensorTypeAndShapeInfo{in.GetConst()});
    const Ort::TensorTypeAndShapeInfo out(out_type, out_shape);
    const auto result_type = Ort::TypeInfo::CreateTensorInfo(out.GetConst());
    inputs.emplace_back("x", in_type.GetConst());
    for (std::size_t i = 0; i < copies; ++i) {
      const std::string result = "y" + std::to_string(i);
      outputs.emplace_back(result, result_type.GetConst());
    }
    graph.SetInputs(inputs);
    graph.SetOutputs(outputs);
    for (std::size_t i = 0; i < copies; ++i) {
      std::vector<std::string> names{"x"};
      std::vector<Ort::Value> values = constants();
      for (auto& value : values) {
        names.push_back("c" + std::to_string(i) + "_" + std::to_string(names.size()));
        graph.AddInitializer(names.back(), value, false);
      }
      Ort::Node made = n.make(names, "y" + std::to_string(i));
      graph.AddNode(made);
    }
    Ort::Model whole({{"", 21}, {"com.microsoft", 1}});
    whole.AddGraph(graph);

    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    session = Ort::Session(environment(), whole, options);
    binding = Ort::IoBinding(session);
    binding.BindInput("x", input);
    Ort::AllocatorWithDefaultOptions memory;
    for (std::size_t i = 0; i < copies; ++i) {
      const auto y = Ort::Value::CreateTensor(memory, out_shape.data(), out_shape.size(), out_type);
      binding.BindOutput(("y" + std::to_string(i)).c_str(), y);
    }
  }
};

template <class... Arguments>
vqb::timed run(Arguments&&... arguments) {
  const auto m = std::make_shared<model>(std::forward<Arguments>(arguments)...);
  return [=] { m->session.Run(Ort::RunOptions{nullptr}, m->binding); };
}

template <class... Values>
std::vector<Ort::Value> list(Values&&... values) {
  std::vector<Ort::Value> all;
  (all.push_back(std::move(values)), ...);
  return all;
}

using s8 = std::int8_t;
using u8 = std::uint8_t;

// Elementwise; rows of 1024 ------------------------------------------------------------------------

template <class To>
vqb::timed quantize(std::size_t count, bool per_row, To zero) {
  const auto rows = static_cast<std::int64_t>(count / 1024);
  const shape params = per_row ? shape{rows} : shape{};
  return run(
      node{"QuantizeLinear", "", {{"axis", {0}}}}, tensor(vqb::floats(count).data(), {rows, 1024}),
      [=] { return list(filled(0.02f, params), filled(zero, params)); }, type_of<To>,
      shape{rows, 1024});
}

vqb::timed dequantize(std::size_t count) {
  const auto rows = static_cast<std::int64_t>(count / 1024);
  return run(
      node{"DequantizeLinear"}, tensor(vqb::random_bytes(count).data(), {rows, 1024}),
      [] { return list(filled(0.02f, {}), filled(u8{3}, {})); }, type_of<float>, shape{rows, 1024});
}

template <class From, class To>
vqb::timed cast(std::size_t count) {
  const auto n = static_cast<std::int64_t>(count);
  const void* data = std::is_same_v<From, float>
                         ? static_cast<const void*>(vqb::floats(count).data())
                         : vqb::random_bytes(2 * count).data();
  return run(
      node{"Cast", "", {{"to", {type_of<To>}}}}, tensor(static_cast<const From*>(data), {n}),
      [] { return list(); }, type_of<To>, shape{n});
}

// Products and convolutions ------------------------------------------------------------------------

vqb::timed product_s32(const vqb::gemm_shape& s) {
  const auto b = vqb::random_codes(s.weights());
  return run(
      node{"MatMulInteger"},
      tensor(vqb::random_bytes(static_cast<std::size_t>(s.rows * s.depth)).data(),
             {s.rows, s.depth}),
      [=] {
        return list(tensor(b.data(), {s.depth, s.columns}), filled(u8{0}, {}));
      },
      type_of<std::int32_t>, shape{s.rows, s.columns});
}

vqb::timed product_u8(const vqb::gemm_shape& s) {
  const auto b = vqb::random_codes(s.weights());
  return run(
      node{"QLinearMatMul"},
      tensor(vqb::random_bytes(static_cast<std::size_t>(s.rows * s.depth)).data(),
             {s.rows, s.depth}),
      [=] {
        return list(filled(0.02f, {}), filled(u8{vqb::gemm_zero_point}, {}),
                    tensor(b.data(), {s.depth, s.columns}), filled(0.01f, {s.columns}),
                    filled(s8{0}, {s.columns}), filled(0.1f, {}), filled(u8{3}, {}));
      },
      type_of<u8>, shape{s.rows, s.columns});
}

vqb::timed convolution(const vqb::conv_shape& s) {
  const auto w = vqb::random_codes(s.weights());
  const std::int64_t k = s.kernel, pad = s.kernel / 2;
  return run(
      node{"QLinearConv",
           "com.microsoft",
           {{"channels_last", {1}},
            {"kernel_shape", {k, k}},
            {"pads", {pad, pad, pad, pad}},
            {"strides", {1, 1}},
            {"group", {s.groups}}}},
      tensor(vqb::random_bytes(s.in_size()).data(), {1, s.side, s.side, s.inputs}),
      [=] {
        return list(filled(0.02f, {}), filled(u8{vqb::conv_zero_point}, {}),
                    tensor(w.data(), {s.outputs, s.inputs / s.groups, k, k}),
                    filled(0.01f, {s.outputs}), filled(s8{0}, {s.outputs}), filled(0.1f, {}),
                    filled(u8{3}, {}), filled(std::int32_t{0}, {s.outputs}));
      },
      type_of<u8>, shape{1, s.side, s.side, s.outputs});
}

// accuracy_level 4: activations are quantized to 8 bits in the call.
vqb::timed weight_only(const vqb::gemm_shape& s, std::int64_t group, std::size_t copies) {
  const auto b = vqb::random_bytes(s.weights() / 2);
  const std::int64_t k = s.depth, n = s.columns;
  return run(
      node{"MatMulNBits",
           "com.microsoft",
           {{"K", {k}},
            {"N", {n}},
            {"bits", {4}},
            {"block_size", {group}},
            {"accuracy_level", {4}}}},
      tensor(vqb::floats(static_cast<std::size_t>(s.rows * k)).data(), {s.rows, k}),
      [=] {
        return list(tensor(b.data(), {n, k / group, group / 2}), filled(0.01f, {n * k / group}));
      },
      type_of<float>, shape{s.rows, n}, copies);
}

const bool registered = [] {
  for (const auto& set : vqb::working_sets()) {
    const std::size_t n = set.elements;
    const auto add = [&](const char* kernel, std::size_t bytes, auto make) {
      vqb::add(kernel, set.name, "ort", {bytes * n, vqb::bytes}, [=] { return make(n); });
    };
    add("quantize_u8", 5, [](std::size_t c) { return quantize(c, false, u8{3}); });
    add("quantize_s8", 5, [](std::size_t c) { return quantize(c, false, s8{0}); });
    add("quantize_per_channel", 5, [](std::size_t c) { return quantize(c, true, s8{0}); });
    add("dequantize_u8", 5, dequantize);
    add("convert_f16", 6, cast<float, Ort::Float16_t>);
    add("convert_bf16", 6, cast<float, Ort::BFloat16_t>);
    add("convert_from_f16", 6, cast<Ort::Float16_t, float>);
    add("convert_from_bf16", 6, cast<Ort::BFloat16_t, float>);
  }
  for (const auto& s : vqb::gemm_shapes) {
    const vqb::work done{s.operations(), vqb::operations};
    vqb::add("gemm_s32", s.case_name(), "ort", done, [=] { return product_s32(s); });
    vqb::add("gemm_u8", s.case_name(), "ort", done, [=] { return product_u8(s); });
  }
  vqb::for_each_convolution([](const char* kernel, const vqb::conv_shape& s) {
    vqb::add(kernel, s.case_name(), "ort", {s.operations(), vqb::operations},
             [=] { return convolution(s); });
  });
  for (const int group : {32, 64, 128}) {
    const auto add = [=](const vqb::gemm_shape& s, const char* suffix, std::size_t copies) {
      vqb::add("weight_only_int4_g" + std::to_string(group) + "_s8", s.case_name() + suffix, "ort",
               {s.operations() * static_cast<double>(copies), vqb::operations},
               [=] { return weight_only(s, group, copies); });
    };
    for (const auto& s : vqb::weight_only_shapes) add(s, "", 1);
    add(vqb::cold_shape, "cold", vqb::beyond_cache_bytes() / (vqb::cold_shape.weights() / 2) + 1);
  }
  return true;
}();

}  // namespace
