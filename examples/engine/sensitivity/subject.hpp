// A model whose layers are tried in formats: what vq::analyze_sensitivity, a plan and its check need
// to know of a model, be it a CNN, a transformer or a language model.
//
//   auto trials = graph_subject::make(network, calibration, {});
//   auto table = vq::analyze_sensitivity(layers_of(*trials), formats, measure_of(*trials, formats), ...);
//
// Weights are simulated (simulated_weight.hpp), everything else stays in floats.
#ifndef ENGINE_SENSITIVITY_SUBJECT_HPP
#define ENGINE_SENSITIVITY_SUBJECT_HPP

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vq/analyze/sensitivity.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/plan/name_layout.hpp>

#include "engine/tensor.hpp"

namespace engine {

class subject {
 public:
  // A format for each layer; empty where the layer is as in the base.
  using format_names = std::vector<std::string>;
  using numbers_or_failure = vq::result<std::vector<double>, vq::failure>;
  using answers_or_failure = vq::result<std::vector<std::uint8_t>, vq::failure>;

  virtual ~subject() = default;

  // The weights that can take a format, as the checkpoint calls them, in the order of computation.
  virtual std::span<const vq::tensor_info> weights() const = 0;
  // "weights", or "inputs" where it is the inputs of the layers that take formats.
  virtual const char* part() const { return "weights"; }

  // How many images or questions it is judged by.
  virtual index_type items() const = 0;

  // Mean KL of the outputs to those of the float model on each subset of the data. May be called
  // from several threads. Errors: an unknown format, with the layer's name.
  virtual numbers_or_failure divergence(const format_names& formats) const = 0;

  // Makes a choice the base, which at first is floats: trials then tell what a layer does to a model
  // whose other layers are quantized already. Divergence is still that from floats.
  virtual std::optional<vq::failure> rebase(const format_names& formats) = 0;

  // For each item of the data, whether the best output is the right one.
  virtual answers_or_failure right_answers(const format_names& formats) const = 0;
};

inline std::vector<vq::sensitivity_layer> layers_of(const subject& s) {
  std::vector<vq::sensitivity_layer> layers;
  for (const vq::tensor_info& w : s.weights())
    layers.push_back({std::string(vq::module_of(w.name)), s.part()});
  return layers;
}

// What analyze_sensitivity calls; valid as long as the subject.
inline auto measure_of(const subject& s, std::vector<std::string> formats) {
  return
      [&s, formats = std::move(formats)](std::span<const vq::index_type> choice, vq::index_type) {
        subject::format_names names(choice.size());
        for (std::size_t l = 0; l < choice.size(); ++l) {
          if (choice[l] != vq::untouched) names[l] = formats[at(choice[l])];
        }
        return s.divergence(names);
      };
}

}  // namespace engine

#endif
