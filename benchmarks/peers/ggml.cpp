// ggml, with the CPU backend that it picks for this machine: 4-bit blocks of 32 (q4_0), conversions,
// and products with q4_0 weights, repacked where the backend can.
#include <ggml.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>

#include "shapes.hpp"
#include "support.hpp"

namespace {

// The backend is a plugin: its functions are found by name.
struct backend {
  ggml_backend_dev_t device;
  ggml_backend_t handle;
  ggml_backend_buffer_type_t repack = nullptr;

  backend() {
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    ggml_backend_load_all();
    device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (!device) throw std::runtime_error("ggml has no CPU backend");
    handle = ggml_backend_dev_init(device, nullptr);
    const auto extra =
        function<ggml_backend_dev_get_extra_bufts_t>("ggml_backend_dev_get_extra_bufts");
    if (extra) {
      for (auto* type = extra(device); type && *type; ++type) {
        if (std::string(ggml_backend_buft_name(*type)).find("REPACK") != std::string::npos) {
          repack = *type;
        }
      }
    }
    const auto set_threads = function<ggml_backend_set_n_threads_t>("ggml_backend_set_n_threads");
    if (set_threads) set_threads(handle, 1);
  }

  template <class F>
  F function(const char* name) const {
    return reinterpret_cast<F>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
  }
};

const backend& cpu() {
  static const backend b;
  return b;
}

using context = std::unique_ptr<ggml_context, decltype(&ggml_free)>;
using buffer = std::unique_ptr<ggml_backend_buffer, decltype(&ggml_backend_buffer_free)>;

context make_context(std::size_t tensors) {
  const ggml_init_params how{ggml_tensor_overhead() * tensors + ggml_graph_overhead(), nullptr,
                             true};
  return {ggml_init(how), ggml_free};
}

// One graph with a product for each of `copies` distinct matrices.
struct product {
  context weights, work;
  buffer weights_memory{nullptr, ggml_backend_buffer_free},
      memory{nullptr, ggml_backend_buffer_free};
  ggml_cgraph* graph;

  product(const vqb::gemm_shape& s, std::size_t copies)
      : weights(make_context(copies + 1)), work(make_context(4 * copies + 16)) {
    std::vector<ggml_tensor*> matrices;
    for (std::size_t i = 0; i < copies; ++i) {
      matrices.push_back(ggml_new_tensor_2d(weights.get(), GGML_TYPE_Q4_0, s.depth, s.columns));
    }
    const auto type =
        cpu().repack ? cpu().repack : ggml_backend_get_default_buffer_type(cpu().handle);
    weights_memory.reset(ggml_backend_alloc_ctx_tensors_from_buft(weights.get(), type));
    if (!weights_memory) throw std::runtime_error("ggml has no memory for the weights");
    ggml_backend_buffer_set_usage(weights_memory.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);

    ggml_tensor* const x = ggml_new_tensor_2d(work.get(), GGML_TYPE_F32, s.depth, s.rows);
    graph = ggml_new_graph(work.get());
    for (ggml_tensor* w : matrices) {
      ggml_tensor* const y = ggml_mul_mat(work.get(), w, x);
      if (!ggml_backend_dev_supports_op(cpu().device, y)) {
        throw std::runtime_error("ggml cannot multiply with these weights");
      }
      ggml_build_forward_expand(graph, y);
    }
    memory.reset(ggml_backend_alloc_ctx_tensors(work.get(), cpu().handle));

    std::vector<std::byte> codes(ggml_nbytes(matrices[0]));
    ggml_quantize_chunk(GGML_TYPE_Q4_0, vqb::floats(s.weights()).data(), codes.data(), 0, s.columns,
                        s.depth, nullptr);
    for (ggml_tensor* w : matrices) ggml_backend_tensor_set(w, codes.data(), 0, codes.size());
    const auto count = static_cast<std::size_t>(s.rows * s.depth);
    ggml_backend_tensor_set(x, vqb::floats(count).data(), 0, count * sizeof(float));
  }
};

const bool registered = [] {
  for (const auto& set : vqb::working_sets()) {
    vqb::add("int4_quantize", set.name, "ggml", {set.elements, vqb::elements}, [=] {
      static_cast<void>(cpu());
      const auto from_float = ggml_get_type_traits(GGML_TYPE_Q4_0)->from_float_ref;
      const float* x = vqb::floats(set.elements).data();
      void* codes = vqb::scratch_bytes(0, set.elements).data();
      return [=] { from_float(x, codes, static_cast<std::int64_t>(set.elements)); };
    });
  }
  const auto add = [](const vqb::gemm_shape& s, const char* suffix, std::size_t copies) {
    vqb::add("weight_only_int4_g32_s8", s.case_name() + suffix, "ggml",
             {s.operations() * static_cast<double>(copies), vqb::operations}, [=] {
               const auto p = std::make_shared<product>(s, copies);
               return [=] { ggml_backend_graph_compute(cpu().handle, p->graph); };
             });
  };
  for (const auto& s : vqb::weight_only_shapes) add(s, "", 1);
  add(vqb::cold_shape, "cold", vqb::beyond_cache_bytes() / (vqb::cold_shape.weights() / 2) + 1);
  return true;
}();

}  // namespace
