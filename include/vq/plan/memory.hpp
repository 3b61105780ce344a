// The memory that running a model takes, item by item, from shapes alone.
//
//   total = weights + cache(tokens) + cross-attention cache + largest transient + fixed + margin
//
//   const auto memory = vq::plan_memory(model, assignment, {.context = 2048,
//                                                           .images = {{1024, 1024}}});
//   for (const vq::memory_item& i : memory.items) ...     // what, bytes, why
//
// Weights are those of the assignment: codes, scales, tables, and what stays as it is. The cache
// holds 2 * layers * kv_heads * head_dim values per token, rounded up to pages. Transients exist
// one phase at a time: the vision tower, the decoder's layers over the prompt, the scores of the
// vocabulary. They are what usually runs out: eager attention needs length^2 * heads values, scores
// of all prompt positions length * vocabulary floats; fused attention and the last position alone
// avoid both (`attention`, `scores`), and those are the defaults.
// Not counted: draft models, adapters, several requests of different length. On boards whose CPU
// and GPU share memory, subtract what the system takes from the budget.
#ifndef VQ_PLAN_MEMORY_HPP
#define VQ_PLAN_MEMORY_HPP

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <vq/io/failure.hpp>
#include <vq/plan/architecture/model_architecture.hpp>
#include <vq/plan/assignment.hpp>
#include <vq/plan/byte_size.hpp>
#include <vq/plan/summary.hpp>
#include <vq/plan/visual_tokens.hpp>

namespace vq::inline v1 {

enum class cache_format : std::uint8_t { f16, f8, int4 };  // int4: with a scale per 32 values
enum class attention_kernel : std::uint8_t { fused, eager };
enum class score_positions : std::uint8_t { last, all };
enum class product_kernel : std::uint8_t {
  whole,  // decodes a quantized matrix before it multiplies, as bitsandbytes does
  fused   // decodes as it multiplies
};

struct memory_request {
  index_type context = 2048;           // tokens of prompt and answer, those of images not counted
  std::vector<image_pixels> images{};  // in every sequence
  index_type batch = 1;
  index_type beams = 1;
  cache_format cache = cache_format::f16;
  index_type page = 16;  // tokens
  attention_kernel attention = attention_kernel::fused;
  score_positions scores = score_positions::last;
  product_kernel products = product_kernel::whole;
  std::uint64_t fixed = 450'000'000;  // a CUDA context: 0.3 to 0.6 GB
  double margin = 0.05;               // of everything else: fragmentation of the allocator
};

struct memory_item {
  std::string what;
  std::uint64_t bytes = 0;
  std::string why;
};

// Transients that exist together.
struct memory_phase {
  std::string name;
  std::vector<memory_item> items;

  std::uint64_t bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const memory_item& i : items) sum += i.bytes;
    return sum;
  }
};

struct memory_plan {
  std::vector<memory_item> items;    // what the total is the sum of
  std::vector<memory_phase> phases;  // the largest is an item
  std::uint64_t weights = 0;
  std::uint64_t total = 0;
  index_type visual_tokens = 0;  // in the sequence, all images
  index_type cross_tokens = 0;
  index_type sequence = 0;  // context and visual tokens

  const memory_phase* peak() const noexcept {
    const memory_phase* largest = nullptr;
    for (const memory_phase& p : phases) {
      if (largest == nullptr || p.bytes() > largest->bytes()) largest = &p;
    }
    return largest;
  }
};

// A product of sizes; what no machine has stays at 2^56, so that sums of it do not overflow.
constexpr std::uint64_t bounded_product(std::initializer_list<index_type> factors) noexcept {
  constexpr std::uint64_t most = std::uint64_t{1} << 56;
  std::uint64_t product = 1;
  for (const index_type factor : factors) {
    if (factor <= 0) return 0;
    const auto f = static_cast<std::uint64_t>(factor);
    product = product > most / f ? most : product * f;
  }
  return product;
}

// Bytes that `tokens` tokens take in `layers` layers.
constexpr std::uint64_t cache_bytes(const decoder_shape& d, index_type layers, index_type tokens,
                                    cache_format format) noexcept {
  const std::uint64_t values = bounded_product({2, layers, d.kv_heads, d.head_dim, tokens});
  switch (format) {
    case cache_format::f16:
      return values * 2;
    case cache_format::f8:
      return values;
    case cache_format::int4:
      return values / 2 + values / 32 * 2;
  }
  return 0;
}

namespace detail {

class memory_counter {
 public:
  memory_counter(const model_architecture& model, const assignment& plan,
                 const memory_request& request)
      : model_(model), plan_(plan), request_(request) {}

  memory_plan count() {
    count_weights();
    count_images();
    if (model_.has_decoder()) {
      count_caches();
      count_prompt();
    }
    add_peak();
    add("fixed", request_.fixed, "runtime and kernels, whatever the model");
    std::uint64_t sum = 0;
    for (const memory_item& i : made_.items) sum += i.bytes;
    add("margin", static_cast<std::uint64_t>(static_cast<double>(sum) * request_.margin),
        sentence(spelled_number(100 * request_.margin, 0), " % for fragmentation"));
    made_.total = sum + made_.items.back().bytes;
    return std::move(made_);
  }

 private:
  void add(std::string what, std::uint64_t bytes, std::string why) {
    made_.items.push_back({std::move(what), bytes, std::move(why)});
  }

  void count_weights() {
    for (const component_summary& c : summarize(plan_).components) {
      if (c.all.tensors == 0) continue;
      std::string formats;
      for (const format_share& f : c.formats) {
        formats += sentence(formats.empty() ? "" : ", ", f.format);
      }
      add(sentence("weights: ", name_of(c.part)), c.all.bytes,
          sentence(c.all.parameters, " parameters, ", formats));
      made_.weights += c.all.bytes;
    }
  }

  // The largest matrix of some components that is decoded as a whole.
  std::uint64_t decoded_matrix(bool tower, std::string& name) const {
    std::uint64_t largest = 0;
    for (const assigned_tensor& t : plan_.tensors) {
      const bool in_tower = t.part == component::vision || t.part == component::connector;
      const auto bytes = bounded_product({t.size(), 2});
      if (!t.quantized() || in_tower != tower || bytes <= largest) continue;
      largest = bytes;
      name = sentence(t.name, " ", spelled(t.shape), " in 16 bits");
    }
    return request_.products == product_kernel::whole ? largest : 0;
  }

  void add_layer_items(memory_phase& phase, index_type batch, index_type sequence,
                       index_type hidden, index_type ffn, index_type heads, bool tower) {
    const index_type tokens = batch * sequence;
    phase.items.push_back(
        {"workspace of a layer", bounded_product({tokens, 4 * hidden + 2 * ffn, 2}),
         sentence(tokens, " tokens x (4 x ", hidden, " + 2 x ", ffn, ") x 2 bytes")});
    if (request_.attention == attention_kernel::eager) {
      const std::uint64_t scores = bounded_product({batch, heads, sequence, sequence, 2});
      const std::string why = sentence(batch > 1 ? sentence(batch, " x ") : "", sequence, " x ",
                                       sequence, " x ", heads, " heads");
      phase.items.push_back({"attention scores", scores, why + " x 2 bytes, a layer"});
      phase.items.push_back({"softmax in float32", scores, why + ": 4 bytes instead of 2"});
    }
    std::string name;
    const std::uint64_t decoded = decoded_matrix(tower, name);
    if (decoded > 0) phase.items.push_back({"decoded matrix", decoded, name});
  }

  void count_images() {
    const tower_shape& tower = model_.tower;
    index_type longest = 0, sequences = 0;
    for (const image_pixels image : request_.images) {
      const visual_tokens v = count_visual_tokens(model_, image);
      made_.visual_tokens += v.sequence;
      made_.cross_tokens += v.cross;
      longest = (std::max)(longest, v.tower_sequence);
      sequences += v.tower_batch;
    }
    sequences *= request_.batch;
    if (sequences == 0 || tower.hidden == 0) return;
    // Images of their own size run one after the other, so that the longest is the peak.
    if (model_.images.splitting == image_splitting::dynamic) sequences = 1;
    memory_phase phase{"vision tower", {}};
    add_layer_items(phase, sequences, longest, tower.hidden, tower.ffn, tower.heads, true);
    made_.phases.push_back(std::move(phase));
  }

  void count_caches() {
    const decoder_shape& d = model_.decoder;
    made_.sequence = request_.context + made_.visual_tokens;
    const index_type page = (std::max)(request_.page, index_type{1});
    const index_type paged = (made_.sequence + page - 1) / page * page;
    const index_type copies = request_.batch * request_.beams;
    const auto of_all = [](std::uint64_t bytes, index_type sequences) {
      return bounded_product({static_cast<index_type>(bytes), sequences});
    };
    add("key-value cache", of_all(cache_bytes(d, d.self_layers(), paged, request_.cache), copies),
        sentence(paged, " tokens (", request_.context, " of text, ", made_.visual_tokens,
                 " of images, pages of ", page, ") x ",
                 cache_bytes(d, d.self_layers(), 1, request_.cache), " bytes",
                 copies > 1 ? sentence(" x ", copies, " sequences") : ""));
    if (made_.cross_tokens == 0) return;
    const auto layers = static_cast<index_type>(d.cross_attention_layers.size());
    add("cross-attention cache",
        of_all(cache_bytes(d, layers, made_.cross_tokens, request_.cache), request_.batch),
        sentence(made_.cross_tokens, " visual tokens x ", cache_bytes(d, layers, 1, request_.cache),
                 " bytes, constant while the answer grows"));
  }

  void count_prompt() {
    const decoder_shape& d = model_.decoder;
    memory_phase layers{"decoder layers over the prompt", {}};
    add_layer_items(layers, request_.batch, made_.sequence, d.hidden, d.ffn, d.heads, false);
    made_.phases.push_back(std::move(layers));

    memory_phase scores{"scores of the vocabulary", {}};
    const bool all = request_.scores == score_positions::all;
    const index_type positions = request_.batch * (all ? made_.sequence : 1);
    const std::string why =
        sentence(positions, all ? " positions" : " last position", " x ", d.vocabulary);
    scores.items.push_back(
        {"float32 scores", bounded_product({positions, d.vocabulary, 4}), why + " x 4 bytes"});
    scores.items.push_back({"16-bit scores", bounded_product({positions, d.vocabulary, 2}),
                            why + " x 2 bytes, before they are converted"});
    made_.phases.push_back(std::move(scores));
  }

  void add_peak() {
    const memory_phase* peak = made_.peak();
    if (peak == nullptr) return;
    std::string why;
    for (const memory_item& i : peak->items) {
      why += sentence(why.empty() ? "" : "; ", i.what, ": ", i.why);
    }
    add(sentence("transient: ", peak->name), peak->bytes(), why);
  }

  const model_architecture& model_;
  const assignment& plan_;
  const memory_request& request_;
  memory_plan made_;
};

}  // namespace detail

// For a model without known shapes (tensors alone) weights, fixed cost and margin.
inline memory_plan plan_memory(const model_architecture& model, const assignment& plan,
                               const memory_request& request = {}) {
  return detail::memory_counter(model, plan, request).count();
}

}  // namespace vq::inline v1

#endif
