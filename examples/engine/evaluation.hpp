// What a network says about a set of images, how close that is to another network's answer, and how
// long it takes. Works with every network that has workspace() and run(image, workspace).
#ifndef ENGINE_EVALUATION_HPP
#define ENGINE_EVALUATION_HPP

#include <algorithm>
#include <chrono>
#include <span>
#include <vector>

#include <vq/analyze/classification.hpp>
#include <vq/analyze/metrics.hpp>

#include "engine/image_set.hpp"
#include "engine/parallel.hpp"

namespace engine {

// The outputs for a number of images, row by row.
struct logits_table {
  index_type classes = 0;
  std::vector<float> values;

  index_type images() const { return std::ssize(values) / classes; }
  vq::tensor_view<const float, 2> view() const { return {values.data(), {images(), classes}}; }
  std::span<const float> row(index_type i) const {
    return std::span(values).subspan(at(i * classes), at(classes));
  }
};

// `count` images from `first` on; progress() is called after each, from any thread.
template <class Network, class Progress>
logits_table evaluate(const Network& network, const image_set& images, index_type count,
                      const parallel_for& run, Progress progress, index_type first = 0) {
  std::vector<typename Network::workspace_type> memory;
  for (index_type t = 0; t < run.threads; ++t) memory.push_back(network.workspace());
  logits_table table;
  table.classes = std::ssize(network.run(images.read(0), memory[0]));
  table.values.resize(at(count * table.classes));
  run(count, [&](index_type i, index_type worker) {
    const auto logits = network.run(images.read(first + i), memory[at(worker)]);
    std::copy(logits.begin(), logits.end(), table.values.begin() + i * table.classes);
    progress();
  });
  return table;
}

// Share of the images whose best class is the right one.
inline double top1(const logits_table& logits, const image_set& images) {
  index_type right = 0;
  for (index_type i = 0; i < logits.images(); ++i) {
    right += vq::argmax(logits.row(i)) == images.label(i) ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(logits.images());
}

// Milliseconds per image on one thread: the median of `count` single images, after one to warm up.
template <class Network>
double milliseconds(const Network& network, const image_set& images, index_type count) {
  auto memory = network.workspace();
  std::vector<double> each;
  for (index_type i = 0; i <= std::min(count, images.size() - 1); ++i) {
    const std::vector<float> image = images.read(i);
    const auto start = std::chrono::steady_clock::now();
    network.run(image, memory);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (i > 0 || images.size() == 1) each.push_back(took.count());
  }
  std::nth_element(each.begin(), each.begin() + std::ssize(each) / 2, each.end());
  return each[each.size() / 2];
}

}  // namespace engine

#endif
