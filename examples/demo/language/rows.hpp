// The rows of the demos of CLIP and LLaVA: each is a recipe.
//
// QUANTIZER.PART has the name that examples/models/peer-accuracy.json gives it ("nf4_block64.lm");
// the recipes that come with the library have their own ("vlm-asymmetric").
#ifndef DEMO_LANGUAGE_ROWS_HPP
#define DEMO_LANGUAGE_ROWS_HPP

#include <string>
#include <vector>

#include <vq/plan/recipe.hpp>

namespace demo {

enum class shown { by_default, when_asked };

struct recipe_row {
  std::string name;
  std::string peer;  // what PyTorch's row is called; empty: there is none
  vq::recipe recipe;
  shown when = shown::when_asked;
};

// Queries and the index that they are put to may come from different precisions, and embeddings may
// be stored as codes.
struct retrieval_row : recipe_row {
  enum class side { both, queries, index };
  side quantized = side::both;         // the other one is float
  int index_bits = 0, query_bits = 0;  // of the codes of embeddings; 0: floats
};

// "fp16" is no row of these: it is what they are compared with.
std::vector<recipe_row> llava_rows();
std::vector<retrieval_row> clip_rows();

}  // namespace demo

#endif
