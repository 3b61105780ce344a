#include <array>
#include <map>
#include <vector>

#include <vq/quantizer/granularity.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

// The parameter of every flat position, by definition, from the multi-index.
template <class F>
std::vector<index_type> by_definition(const std::array<index_type, 3>& n, F param) {
  std::vector<index_type> result;
  for (index_type i = 0; i < n[0]; ++i)
    for (index_type j = 0; j < n[1]; ++j)
      for (index_type k = 0; k < n[2]; ++k) result.push_back(param(i, j, k));
  return result;
}

void check(const vq::slices& cut, const std::vector<index_type>& want, index_type params) {
  const auto size = static_cast<index_type>(want.size());
  REQUIRE(cut.size() == size);
  REQUIRE(cut.params() == params);
  for (index_type i = 0; i < size; ++i) {
    REQUIRE(cut.param_of(i) == want[static_cast<std::size_t>(i)]);
  }
  // strips of any interval give the same parameters, in order, without gaps
  for (index_type begin = 0; begin <= size; begin += 3) {
    for (const index_type count : {index_type{0}, index_type{1}, index_type{7}, size - begin}) {
      if (begin + count > size) continue;
      index_type at = begin;
      cut.for_each_strip(begin, count, [&](vq::strip s) {
        REQUIRE(s.begin == at);
        for (index_type row = 0; row < s.rows; ++row)
          for (index_type run = 0; run < s.count; ++run)
            for (index_type k = 0; k < s.length; ++k, ++at)
              REQUIRE(s.param + run == want[static_cast<std::size_t>(at)]);
      });
      REQUIRE(at == begin + count);
    }
  }
  // the runs of a parameter are exactly its positions
  std::map<index_type, index_type> seen;
  for (index_type p = 0; p < params; ++p) {
    cut.for_each_run(p, [&](index_type begin, index_type count) {
      for (index_type i = begin; i < begin + count; ++i) {
        REQUIRE(want[static_cast<std::size_t>(i)] == p);
        ++seen[i];
      }
    });
  }
  REQUIRE(seen.size() == want.size());
}

}  // namespace

TEST_CASE("granularity: every value has the parameter its definition says", "[quantizer]") {
  const std::array<index_type, 3> n{3, 4, 10};
  using I = index_type;
  check(vq::per_tensor::cut(n), by_definition(n, [](I, I, I) { return I{0}; }), 1);
  check(vq::per_channel<0>::cut(n), by_definition(n, [](I i, I, I) { return i; }), 3);
  check(vq::per_channel<1>::cut(n), by_definition(n, [](I, I j, I) { return j; }), 4);
  check(vq::per_channel<2>::cut(n), by_definition(n, [](I, I, I k) { return k; }), 10);
  check(vq::per_token<1>::cut(n), by_definition(n, [](I i, I j, I) { return i * 4 + j; }), 12);
  check(vq::per_token<0>::cut(n), by_definition(n, [](I i, I, I) { return i; }), 3);
  check(vq::per_group<4>::cut(n),
        by_definition(n, [](I i, I j, I k) { return (i * 4 + j) * 3 + k / 4; }), 36);
  check(vq::per_group<5>::cut(n),
        by_definition(n, [](I i, I j, I k) { return (i * 4 + j) * 2 + k / 5; }), 24);
  check(vq::per_block<7>::cut(n),
        by_definition(n, [](I i, I j, I k) { return ((i * 4 + j) * 10 + k) / 7; }), 18);
}

TEST_CASE("granularity: empty tensors need no parameters where runs are empty", "[quantizer]") {
  const std::array<index_type, 2> none{0, 5};
  CHECK(vq::per_channel<0>::cut(none).params() == 0);
  CHECK(vq::per_tensor::cut(none).params() == 0);
  CHECK(vq::per_block<8>::cut(none).params() == 0);
  vq::per_block<8>::cut(none).for_each_strip([](vq::strip) { FAIL("a strip of nothing"); });
}

TEST_CASE("granularity: a run that its row ends early says so, in whatever piece it comes",
          "[quantizer]") {
  const auto short_values = [](const vq::slices& cut, index_type step) {
    std::vector<index_type> found;
    for (index_type begin = 0; begin < cut.size(); begin += step) {
      const index_type left = cut.size() - begin;
      cut.for_each_strip(begin, left < step ? left : step, [&](vq::strip s) {
        for (index_type i = 0; s.short_run && i < s.size(); ++i) {
          found.push_back(s.begin + i);
        }
      });
    }
    return found;
  };
  const std::vector<index_type> rows{8, 9, 18, 19}, end{14, 15, 16, 17, 18, 19};
  for (index_type step = 1; step <= 20; ++step) {
    CHECK(short_values(vq::per_group<4>::cut(std::array<index_type, 2>{2, 10}), step) == rows);
    CHECK(short_values(vq::per_block<7>::cut(std::array<index_type, 2>{2, 10}), step) == end);
    CHECK(short_values(vq::per_block<5>::cut(std::array<index_type, 2>{2, 10}), step).empty());
    CHECK(short_values(vq::per_group<5>::cut(std::array<index_type, 2>{2, 10}), step).empty());
    CHECK(short_values(vq::per_channel<0>::cut(std::array<index_type, 2>{2, 10}), step).empty());
  }
  const vq::slices groups = vq::per_group<4>::cut(std::array<index_type, 2>{2, 10});
  CHECK((!groups.is_short(1) && groups.is_short(2) && !groups.is_short(3) && groups.is_short(5)));
  CHECK(!vq::per_group<5>::cut(std::array<index_type, 2>{2, 10}).is_short(3));
}

TEST_CASE("granularity: rows that share their parameters come as one strip", "[quantizer]") {
  const vq::slices cut = vq::per_channel<2>::cut(std::array<index_type, 3>{3, 4, 10});
  std::vector<index_type> rows;
  cut.for_each_strip(5, 97, [&](vq::strip s) { rows.push_back(s.rows); });
  REQUIRE(rows == std::vector<index_type>{1, 9, 1});  // the end of a row, whole rows, a beginning
}
