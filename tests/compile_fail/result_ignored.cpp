// expect: nodiscard
#include <vq/core/result.hpp>

#pragma GCC diagnostic error "-Wunused-result"

vq::result<int> parse();
void careless() { parse(); }
