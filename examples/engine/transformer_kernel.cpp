#include <algorithm>
#include <cmath>
#include <optional>
#include <variant>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

#include "engine/float_kernel.hpp"
#include "engine/int8_layer.hpp"
#include "engine/integer_kernel.hpp"

namespace engine {
namespace {

// Codes that are not evenly spaced, as integers. bad_argument: the format has no such form.
vq::result<vq::code_planes> planes_of(const output_format& format) {
  return std::visit(
      []<class Policy>(const coded<Policy>& f) -> vq::result<vq::code_planes> {
        if constexpr (requires { vq::planes_of(Policy{}, f.param); }) {
          return vq::planes_of(Policy{}, f.param);
        } else {
          return vq::status::bad_argument;
        }
      },
      format);
}

// A visitor of the operation of node `i`.
template <vq::execution E>
class transformer_kernel_builder {
 public:
  transformer_kernel_builder(const quantized_graph& q, index_type i)
      : q_(q),
        node_(q.network[i]),
        size_(volume(node_.shape)),
        out_(q.outputs[at(i)]),
        weight_(q.weights[at(i)]) {
    for (const index_type from : node_.inputs) {
      in_.push_back(q.outputs[at(from)]);
      shapes_.push_back(q.network[from].shape);
    }
  }

  kernel_or_status operator()(const conv2d& op) const {
    const auto* in = evenly_spaced(0);
    if (in == nullptr || !weight_ || out_) return vq::status::bad_argument;
    const auto& s = op.weight.shape;
    const auto layer = prepare_layer(*weight_, {s[0], s[1], s[2], s[3]}, op.groups, *in, {});
    if (!layer) return layer.error();
    const vq::window2d window{{op.stride, op.stride}, vq::pad_evenly(op.padding), {1, 1}};
    const auto x = as_nchw<const activation_code>(nullptr, shapes_[0]);
    return integer_kernel{
        [layer = *layer, window, from = shapes_[0], to = node_.shape](const integer_call& c) {
          return vq::conv2d(E{}, as_nchw(as_codes(c.in[0], volume(from)).data(), from),
                            layer.in_zero_point, layer.weights->view, layer.bias, window,
                            layer.to_floats(), as_nchw(as_floats(c.out), to), c.scratch);
        },
        vq::conv2d_workspace(E{}, x, layer->weights->view, window)};
  }

  kernel_or_status operator()(const linear& op) const {
    if (!weight_ || !in_[0]) return vq::status::bad_argument;
    const auto* in = affine_of(*in_[0]);
    return in == nullptr ? planar(op) : evenly_spaced(op, *in);
  }

  kernel_or_status operator()(const attention_scores& op) const {
    const auto *q = evenly_spaced(0), *k = evenly_spaced(1);
    if (q == nullptr || k == nullptr || out_) return vq::status::bad_argument;
    const vq::attention_shape s = heads_of(op.heads, shapes_[0], shapes_[1]);
    const float factor = 1 / std::sqrt(static_cast<float>(s.features));
    return integer_kernel{[=, q = *q, k = *k, size = at(size_)](const integer_call& c) {
                            return vq::attention_scores(
                                E{}, s, {as_codes(c.in[0], s.queries * s.row()), q},
                                {as_codes(c.in[1], s.keys * s.row()), k}, factor,
                                {as_floats(c.out), size}, c.scratch);
                          },
                          vq::attention_workspace(E{}, s)};
  }

  kernel_or_status operator()(const attention_context& op) const {
    const auto* v = evenly_spaced(1);
    if (v == nullptr || !in_[0] || !out_) return vq::status::bad_argument;
    const vq::attention_shape s = heads_of(op.heads, node_.shape, shapes_[1]);
    const auto multiplied = [&](const auto& probabilities) {
      return integer_kernel{
          [=, v = *v, size = size_, format = *out_](const integer_call& c) {
            const std::span<float> by_head(c.floats, at(size)), by_token(c.floats + size, at(size));
            const auto p = as_codes(c.in[0], s.heads * s.queries * s.keys);
            const auto done =
                vq::attention_context(E{}, s, p, probabilities,
                                      {as_codes(c.in[1], s.keys * s.row()), v}, by_head, c.scratch);
            if (done != vq::status::ok) return done;
            for (index_type h = 0; h < s.heads; ++h) {
              for (index_type t = 0; t < s.queries; ++t) {
                std::copy_n(by_head.data() + (h * s.queries + t) * s.features, s.features,
                            by_token.data() + t * s.row() + h * s.features);
              }
            }
            return encode(E{}, format, by_token, as_codes(c.out, size));
          },
          vq::attention_workspace(E{}, s), 2 * size_};
    };
    if (const auto* p = affine_of(*in_[0])) return multiplied(*p);
    const auto planes = planes_of(*in_[0]);
    if (!planes) return planes.error();
    return multiplied(*planes);
  }

  kernel_or_status operator()(const batch_norm&) const { return vq::status::bad_argument; }

  // In floats, whatever becomes of the result.
  template <class Other>
  kernel_or_status operator()(const Other&) const {
    for (const auto& format : in_) {
      if (format) return vq::status::bad_argument;
    }
    const float_kernel kernel = kernel_of(node_.op, shapes_, node_.shape);
    const auto compute = [kernel, count = in_.size()](const integer_call& c, float* out,
                                                      float* scratch) {
      const std::array<const float*, 2> in{as_floats(c.in[0]), as_floats(c.in[1])};
      kernel.run({in.data(), count}, out, scratch);
    };
    if (!out_) {
      return integer_kernel{[compute](const integer_call& c) {
                              compute(c, as_floats(c.out), c.floats);
                              return vq::status::ok;
                            },
                            0, kernel.scratch};
    }
    return integer_kernel{[compute, size = size_, format = *out_](const integer_call& c) {
                            compute(c, c.floats, c.floats + size);
                            return encode(E{}, format, {c.floats, at(size)}, as_codes(c.out, size));
                          },
                          0, size_ + kernel.scratch};
  }

  // The image arrives as floats.
  kernel_or_status operator()(const input&) const {
    return integer_kernel{[size = size_, format = out_](const integer_call& c) {
      const std::span<const float> image(as_floats(c.in[0]), at(size));
      if (format) return encode(E{}, *format, image, as_codes(c.out, size));
      std::copy(image.begin(), image.end(), as_floats(c.out));
      return vq::status::ok;
    }};
  }

 private:
  const vq::affine_param* evenly_spaced(std::size_t input) const {
    return in_[input] ? affine_of(*in_[input]) : nullptr;
  }

  static vq::attention_shape heads_of(index_type heads, const shape_type& queries,
                                      const shape_type& keys) {
    return {queries[0], keys[0], heads, queries[1] / heads};
  }

  kernel_or_status evenly_spaced(const linear& op, const vq::affine_param& in) const {
    const index_type outputs = op.weight.extent(0), inputs = op.weight.extent(1);
    const auto layer = prepare_layer(*weight_, {outputs, inputs, 1, 1}, 1, in, {}, op.clamp);
    if (!layer) return layer.error();
    const index_type rows = size_ / outputs;
    const vq::tensor_view<const activation_code, 2> shape(nullptr, {rows, inputs});
    const auto run = [layer = *layer, rows, inputs, outputs](const integer_call& c, float* to) {
      const vq::tensor_view<const activation_code, 2> x(as_codes(c.in[0], rows * inputs).data(),
                                                        {rows, inputs});
      return vq::linear(E{}, x, layer.in_zero_point, layer.weights->view, layer.bias,
                        layer.to_floats(), {to, {rows, outputs}}, c.scratch);
    };
    return to_output(run, vq::linear_workspace(E{}, shape, layer->weights->view));
  }

  // Codes in planes to floats.
  kernel_or_status planar(const linear& op) const {
    const auto planes = planes_of(*in_[0]);
    if (!planes) return planes.error();
    const index_type outputs = op.weight.extent(0), inputs = op.weight.extent(1);
    const auto layer = prepare_layer(*weight_, {outputs, inputs, 1, 1}, 1, {}, {});
    if (!layer) return layer.error();
    const index_type rows = size_ / outputs;
    const auto run = [layer = *layer, planes = *planes, rows, inputs, size = at(size_)](
                         const integer_call& c, float* to) {
      return vq::planar_linear(E{}, as_codes(c.in[0], rows * inputs), rows, planes,
                               layer.weights->view, layer.scales, layer.float_bias, {to, size},
                               c.scratch);
    };
    return to_output(run, vq::planar_linear_workspace(E{}, rows, layer->weights->view));
  }

  // run(call, floats): what it computes becomes codes where the output has a format.
  template <class Run>
  integer_kernel to_output(Run run, index_type scratch) const {
    if (!out_) {
      return {[run](const integer_call& c) { return run(c, as_floats(c.out)); }, scratch};
    }
    return {[run, size = size_, format = *out_](const integer_call& c) {
              const vq::status s = run(c, c.floats);
              if (s != vq::status::ok) return s;
              return encode(E{}, format, {c.floats, at(size)}, as_codes(c.out, size));
            },
            scratch, size_};
  }

  const quantized_graph& q_;
  const node& node_;
  index_type size_;
  const std::optional<output_format>& out_;
  const std::optional<quantized_weight>& weight_;
  std::vector<std::optional<output_format>> in_;
  std::vector<shape_type> shapes_;
};

}  // namespace

template <vq::execution E>
kernel_or_status prepare_mixed(const quantized_graph& q, index_type i) {
  return std::visit(transformer_kernel_builder<E>(q, i), q.network[i].op);
}
template kernel_or_status prepare_mixed<vq::scalar_t>(const quantized_graph&, index_type);
template kernel_or_status prepare_mixed<vq::simd::native_t>(const quantized_graph&, index_type);

}  // namespace engine
