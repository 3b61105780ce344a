// expect: no matching function|could not convert|no viable conversion|conversion from
#include <vq/quant.hpp>

vq::tensor_view<float, 2> writable(vq::tensor_view<const float, 2> view) { return view; }
