#include <array>
#include <optional>
#include <variant>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "engine/int8_layer.hpp"
#include "engine/integer_kernel.hpp"

namespace engine {
namespace {

// A visitor of the operation of node `i`.
template <vq::execution E>
class int8_kernel_builder {
 public:
  int8_kernel_builder(const quantized_graph& q, index_type i)
      : q_(q), node_(q.network[i]), out_(format_of(i)), weight_(q.weights[at(i)]) {
    for (const index_type from : node_.inputs) {
      in_.push_back(format_of(from));
      quantized_inputs_ = quantized_inputs_ && in_.back();
    }
  }

  kernel_or_status operator()(const input&) const {
    if (!out_) return vq::status::bad_argument;
    return integer_kernel{
        [size = volume(node_.shape), format = *q_.outputs[0]](const integer_call& c) {
          return encode(E{}, format, {as_floats(c.in[0]), at(size)}, as_codes(c.out, size));
        }};
  }

  kernel_or_status operator()(const conv2d& op) const {
    if (!quantized_inputs_ || !out_ || !weight_) return vq::status::bad_argument;
    const auto& s = op.weight.shape;
    const auto prepared = prepare_layer(*weight_, {s[0], s[1], s[2], s[3]}, op.groups,
                                        in_[0]->param, out_, op.clamp, op.highest);
    if (!prepared) return prepared.error();
    const vq::window2d window{{op.stride, op.stride}, vq::pad_evenly(op.padding), {1, 1}};
    const shape_type from = q_.network[node_.inputs[0]].shape;
    const auto x = as_nchw<const activation_code>(nullptr, from);
    return integer_kernel{
        [layer = *prepared, window, from, to = node_.shape](const integer_call& c) {
          return vq::conv2d(E{}, as_nchw(as_codes(c.in[0]), from), layer.in_zero_point,
                            layer.weights->view, layer.bias, window, layer.to_codes(),
                            as_nchw(as_codes(c.out), to), c.scratch);
        },
        vq::conv2d_workspace(E{}, x, prepared->weights->view, window)};
  }

  kernel_or_status operator()(const linear& op) const {
    if (!quantized_inputs_ || !weight_) return vq::status::bad_argument;
    const index_type outputs = op.weight.extent(0), inputs = op.weight.extent(1);
    const auto prepared =
        prepare_layer(*weight_, {outputs, inputs, 1, 1}, 1, in_[0]->param, out_, op.clamp);
    if (!prepared) return prepared.error();
    const index_type rows = volume(node_.shape) / outputs;
    const auto run = [layer = *prepared, rows, inputs, outputs](const integer_call& c,
                                                                const auto& stage, auto* to) {
      const vq::tensor_view<const activation_code, 2> x(as_codes(c.in[0]), {rows, inputs});
      return vq::linear(E{}, x, layer.in_zero_point, layer.weights->view, layer.bias, stage,
                        {to, {rows, outputs}}, c.scratch);
    };
    const vq::tensor_view<const activation_code, 2> x(nullptr, {rows, inputs});
    const index_type scratch = vq::linear_workspace(E{}, x, prepared->weights->view);
    if (out_) {
      return integer_kernel{[layer = *prepared, run](const integer_call& c) {
                              return run(c, layer.to_codes(), as_codes(c.out));
                            },
                            scratch};
    }
    return integer_kernel{[layer = *prepared, run](const integer_call& c) {
                            return run(c, layer.to_floats(), as_floats(c.out));
                          },
                          scratch};
  }

  kernel_or_status operator()(const add& op) const {
    if (!quantized_inputs_ || !out_) return vq::status::bad_argument;
    const auto param =
        vq::fit_add(in_[0]->param, in_[1]->param, out_->param, out_->within(op.clamp));
    if (!param) return param.error();
    return integer_kernel{[p = *param, size = volume(node_.shape)](const integer_call& c) {
      using codes = vq::tensor_view<const activation_code, 1>;
      return vq::add(E{}, p, codes(as_codes(c.in[0]), {size}), codes(as_codes(c.in[1]), {size}),
                     vq::tensor_view<activation_code, 1>(as_codes(c.out), {size}));
    }};
  }

  kernel_or_status operator()(const global_average_pool&) const {
    if (!quantized_inputs_ || !out_) return vq::status::bad_argument;
    const shape_type from = q_.network[node_.inputs[0]].shape;
    const std::array mean{vq::average_scale(from[0] * from[1])};
    std::vector<vq::float_multiplier> multiplier(1);
    const auto s =
        vq::find_multipliers<vq::float_multiplier>(in_[0]->param, mean, out_->param, multiplier);
    if (s != vq::status::ok) return s;
    return integer_kernel{[multiplier, from, to = node_.shape, zero = in_[0]->param.zero_point,
                           out = *out_](const integer_call& c) {
      const vq::to_codes<activation_code> stage{multiplier, out.param.zero_point, out.codes};
      return vq::global_average_pool(E{}, as_nchw(as_codes(c.in[0]), from), zero, stage,
                                     as_nchw(as_codes(c.out), to));
    }};
  }

  template <class Other>
  kernel_or_status operator()(const Other&) const {
    return vq::status::bad_argument;
  }

 private:
  std::optional<code_format> format_of(index_type node) const {
    const auto& format = q_.outputs[at(node)];
    const vq::affine_param* param = format ? affine_of(*format) : nullptr;
    if (param == nullptr) return std::nullopt;
    return code_format{*param, activation_limits(bits_of(*format))};
  }

  const quantized_graph& q_;
  const node& node_;
  std::optional<code_format> out_;
  const std::optional<quantized_weight>& weight_;
  std::vector<std::optional<code_format>> in_;
  bool quantized_inputs_ = true;
};

}  // namespace

template <vq::execution E>
kernel_or_status prepare_int8(const quantized_graph& q, index_type i) {
  return std::visit(int8_kernel_builder<E>(q, i), q.network[i].op);
}
template kernel_or_status prepare_int8<vq::scalar_t>(const quantized_graph&, index_type);
template kernel_or_status prepare_int8<vq::simd::native_t>(const quantized_graph&, index_type);

}  // namespace engine
