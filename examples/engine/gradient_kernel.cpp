#include "engine/gradient_kernel.hpp"

#include <cmath>
#include <numbers>
#include <vector>

#include <Eigen/Core>

#include "engine/float_conv2d.hpp"
#include "engine/float_transformer.hpp"

namespace engine {
namespace {

gradient_kernel reversed(const linear& op, std::span<const shape_type>, const shape_type& out) {
  const index_type outputs = op.weight.extent(0), inputs = op.weight.extent(1);
  const matrix weight = Eigen::Map<const matrix>(op.weight.values.data(), outputs, inputs);
  return [weight, rows = volume(out) / outputs](const reverse_values& v) {
    Eigen::Map<matrix>(v.in_gradients[0], rows, weight.cols()).noalias() +=
        Eigen::Map<const matrix>(v.gradient, rows, weight.rows()) * weight;
  };
}

gradient_kernel reversed(const conv2d& op, std::span<const shape_type> in, const shape_type& out) {
  return [op, in = in[0], out](const reverse_values& v) {
    const index_type each = op.weight.extent(1), high = op.weight.extent(2),
                     wide = op.weight.extent(3), per_group = out[2] / op.groups;
    const auto tap = [&](index_type y, index_type x, index_type o, index_type row,
                         index_type column) {
      if (row < 0 || row >= in[0] || column < 0 || column >= in[1]) return;
      const float g = v.gradient[(y * out[1] + x) * out[2] + o];
      const index_type j = row - (y * op.stride - op.padding),
                       i = column - (x * op.stride - op.padding);
      float* to = v.in_gradients[0] + (row * in[1] + column) * in[2] + o / per_group * each;
      for (index_type c = 0; c < each; ++c) {
        to[c] += g * op.weight.values[at(((o * each + c) * high + j) * wide + i)];
      }
    };
    for (index_type y = 0; y < out[0]; ++y) {
      for (index_type x = 0; x < out[1]; ++x) {
        for (index_type o = 0; o < out[2]; ++o) {
          for (index_type j = 0; j < high; ++j) {
            for (index_type i = 0; i < wide; ++i) {
              tap(y, x, o, y * op.stride - op.padding + j, x * op.stride - op.padding + i);
            }
          }
        }
      }
    }
  };
}

gradient_kernel reversed(const batch_norm& op, std::span<const shape_type>, const shape_type& out) {
  return [op, size = volume(out)](const reverse_values& v) {
    for (index_type i = 0; i < size; ++i) {
      const std::size_t c = at(i) % op.gamma.size();
      v.in_gradients[0][i] += v.gradient[i] * op.gamma[c] / std::sqrt(op.variance[c] + op.epsilon);
    }
  };
}

// Clamping is the executor's (limits_of): what is left passes.
gradient_kernel passed_to_all(index_type size) {
  return [size](const reverse_values& v) {
    for (float* to : v.in_gradients) {
      for (index_type i = 0; i < size; ++i) to[i] += v.gradient[i];
    }
  };
}
gradient_kernel reversed(const activation&, std::span<const shape_type>, const shape_type& out) {
  return passed_to_all(volume(out));
}
gradient_kernel reversed(const add&, std::span<const shape_type>, const shape_type& out) {
  return passed_to_all(volume(out));
}

gradient_kernel reversed(const global_average_pool&, std::span<const shape_type> in,
                         const shape_type&) {
  return [pixels = in[0][0] * in[0][1], channels = in[0][2]](const reverse_values& v) {
    for (index_type i = 0; i < pixels * channels; ++i) {
      v.in_gradients[0][i] += v.gradient[i % channels] / static_cast<float>(pixels);
    }
  };
}

gradient_kernel reversed(const to_tokens& op, std::span<const shape_type> in, const shape_type&) {
  return [skipped = op.class_token.size(), size = volume(in[0])](const reverse_values& v) {
    for (index_type i = 0; i < size; ++i) v.in_gradients[0][i] += v.gradient[at(i) + skipped];
  };
}

// With n = (x - mean) / deviation and h = gradient * gamma:
// (h - mean(h) - n mean(h n)) / deviation.
gradient_kernel reversed(const layer_norm& op, std::span<const shape_type>, const shape_type& out) {
  return [op, size = volume(out)](const reverse_values& v) {
    const auto features = static_cast<index_type>(op.gamma.size());
    const Eigen::Map<const Eigen::ArrayXf> gamma(op.gamma.data(), features);
    for (index_type i = 0; i < size; i += features) {
      const Eigen::Map<const Eigen::ArrayXf> x(v.in[0] + i, features);
      const Eigen::ArrayXf h = Eigen::Map<const Eigen::ArrayXf>(v.gradient + i, features) * gamma;
      const float deviation = std::sqrt((x - x.mean()).square().mean() + op.epsilon);
      const Eigen::ArrayXf n = (x - x.mean()) / deviation;
      Eigen::Map<Eigen::ArrayXf>(v.in_gradients[0] + i, features) +=
          (h - h.mean() - n * (h * n).mean()) / deviation;
    }
  };
}

gradient_kernel reversed(const gelu&, std::span<const shape_type>, const shape_type& out) {
  return [size = volume(out)](const reverse_values& v) {
    constexpr float root_of_2 = std::numbers::sqrt2_v<float>;
    constexpr float density = std::numbers::inv_sqrtpi_v<float> / root_of_2;  // 1 / sqrt(2 pi)
    for (index_type i = 0; i < size; ++i) {
      const float x = v.in[0][i];
      const float slope =
          0.5f * (1 + std::erf(x / root_of_2)) + x * density * std::exp(-0.5f * x * x);
      v.in_gradients[0][i] += v.gradient[i] * slope;
    }
  };
}

gradient_kernel reversed(const softmax&, std::span<const shape_type>, const shape_type& out) {
  return [size = volume(out), row = out.back()](const reverse_values& v) {
    for (index_type i = 0; i < size; i += row) {
      const Eigen::Map<const Eigen::ArrayXf> p(v.out + i, row), g(v.gradient + i, row);
      Eigen::Map<Eigen::ArrayXf>(v.in_gradients[0] + i, row) += p * (g - (p * g).sum());
    }
  };
}

gradient_kernel reversed(const attention_scores& op, std::span<const shape_type> in,
                         const shape_type&) {
  return [heads = op.heads, queries = in[0][0], keys = in[1][0],
          features = in[0][1]](const reverse_values& v) {
    const float scale = 1 / std::sqrt(static_cast<float>(features / heads));
    for (index_type h = 0; h < heads; ++h) {
      const Eigen::Map<const matrix> g(v.gradient + h * queries * keys, queries, keys);
      head_of(v.in_gradients[0], queries, features, heads, h).noalias() +=
          scale * g * head_of(v.in[1], keys, features, heads, h);
      head_of(v.in_gradients[1], keys, features, heads, h).noalias() +=
          scale * g.transpose() * head_of(v.in[0], queries, features, heads, h);
    }
  };
}

gradient_kernel reversed(const attention_context& op, std::span<const shape_type> in,
                         const shape_type& out) {
  return [heads = op.heads, queries = out[0], keys = in[1][0],
          features = out[1]](const reverse_values& v) {
    for (index_type h = 0; h < heads; ++h) {
      const auto g = head_of(v.gradient, queries, features, heads, h);
      const index_type begin = h * queries * keys;
      Eigen::Map<matrix>(v.in_gradients[0] + begin, queries, keys).noalias() +=
          g * head_of(v.in[1], keys, features, heads, h).transpose();
      head_of(v.in_gradients[1], keys, features, heads, h).noalias() +=
          Eigen::Map<const matrix>(v.in[0] + begin, queries, keys).transpose() * g;
    }
  };
}

gradient_kernel reversed(const take_token& op, std::span<const shape_type>, const shape_type& out) {
  return [begin = op.token * out[0], size = out[0]](const reverse_values& v) {
    for (index_type i = 0; i < size; ++i) v.in_gradients[0][begin + i] += v.gradient[i];
  };
}

gradient_kernel reversed(const input&, std::span<const shape_type>, const shape_type&) {
  return [](const reverse_values&) {};
}

}  // namespace

gradient_kernel gradient_kernel_of(const operation& any, std::span<const shape_type> in,
                                   const shape_type& out) {
  return std::visit([&](const auto& op) { return reversed(op, in, out); }, any);
}

}  // namespace engine
