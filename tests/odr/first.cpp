// The first of two units that see every header; see second.cpp.
#include "all_headers.hpp"

const char* sentence_of_second_unit();
const void* address_of_second_unit();

// Inline functions and variables are one entity, whichever unit looks at them.
int main() {
  const bool same_text = sentence_of_second_unit() == vq::describe(vq::status::not_finite);
  const bool same_object =
      address_of_second_unit() == static_cast<const void*>(&vq::library_version);
  return same_text && same_object ? 0 : 1;
}
