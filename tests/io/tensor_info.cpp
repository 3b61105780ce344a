// What a tensor is without its bytes.
#include <vq/io/tensor_info.hpp>

#include "catch.hpp"

TEST_CASE("tensor_info: elements and bytes follow from the shape", "[io]") {
  const vq::tensor_info conv{"conv1.weight", vq::dtype::f16, {16, 3, 3, 3}};
  CHECK(conv.size() == 432);
  CHECK(conv.stored_bytes() == 864);
  const vq::tensor_info value{"scale", vq::dtype::f32, {}};
  CHECK(value.size() == 1);
  CHECK(value.stored_bytes() == 4);
  CHECK(vq::tensor_info{"none", vq::dtype::f64, {0, 7}}.stored_bytes() == 0);
  CHECK(vq::tensor_info{"e2m1", vq::dtype::f4, {2, 4}}.stored_bytes() == 4);
  // beyond 4 GiB
  CHECK(vq::tensor_info{"big", vq::dtype::f32, {65536, 32768}}.stored_bytes() == 8'589'934'592u);
}

TEST_CASE("tensor_info: a weight is a matrix of its first extent", "[io]") {
  const auto matrix = [](std::vector<vq::index_type> shape) { return vq::as_matrix(shape); };
  CHECK(matrix({16, 3, 3, 3}) == vq::shape_type<2>{16, 27});
  CHECK(matrix({5}) == vq::shape_type<2>{5, 1});
  CHECK(matrix({}) == vq::shape_type<2>{1, 1});
}

TEST_CASE("tensor_info: a shape is spelled as people write it", "[io]") {
  CHECK(vq::spelled(vq::tensor_info{"w", vq::dtype::f32, {2, 3}}.shape) == "[2, 3]");
  CHECK(vq::spelled(vq::tensor_info{}.shape) == "[]");
}
