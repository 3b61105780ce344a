// The name of a quantizer's format, in tables, recipes and files: policy, granularity, storage.
//
//   vq::format_name<vq::quantizer<vq::nf4, vq::per_block<64>, vq::double_quantized<256>>>();
//                                          // "nf4-block64-dq256"
//   vq::format_names(vq::menu<...>{});     // of every entry
//
// uniform<8> is int8, minifloat<4, 3> e4m3, per_channel<0> channel, and storage shows where it
// quantizes the scales themselves. A policy or granularity of one's own gives a member `name`; without
// it the policy is custom and its bits, the granularity custom.
#ifndef VQ_ANALYZE_FORMAT_NAME_HPP
#define VQ_ANALYZE_FORMAT_NAME_HPP

#include <string>
#include <vector>

#include <vq/io/failure.hpp>
#include <vq/policy/minifloat.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/menu.hpp>

namespace vq::inline v1 {

namespace detail {

// Of a policy or a granularity.
template <class T>
struct format_label {
  static std::string text() {
    if constexpr (requires { std::string(T::name); }) {
      return T::name;
    } else if constexpr (requires { T::bits; }) {
      return sentence("custom", T::bits);
    } else {
      return "custom";
    }
  }
};
template <int Bits>
struct format_label<uniform<Bits>> {
  static std::string text() { return sentence("int", Bits); }
};
template <int E, int M, class Specials, class Overflow>
struct format_label<minifloat<E, M, Specials, Overflow>> {
  static std::string text() { return sentence("e", E, "m", M); }
};
template <>
struct format_label<per_tensor> {
  static std::string text() { return "tensor"; }
};
template <int Axis>
struct format_label<per_channel<Axis>> {
  static std::string text() { return Axis == 0 ? "channel" : sentence("channel", Axis); }
};
template <index_type N>
struct format_label<per_group<N>> {
  static std::string text() { return sentence("group", N); }
};
template <index_type N>
struct format_label<per_block<N>> {
  static std::string text() { return sentence("block", N); }
};

template <class Storage>
struct storage_label {
  static std::string text() { return ""; }
};
template <index_type Group>
struct storage_label<double_quantized<Group>> {
  static std::string text() { return sentence("-dq", Group); }
};

// Compiled once, where a menu has dozens of formats.
inline std::string joined_labels(std::string (*policy)(), std::string (*granularity)(),
                                 std::string (*storage)()) {
  return policy() + "-" + granularity() + storage();
}

}  // namespace detail

template <a_quantizer Q>
std::string format_name() {
  return detail::joined_labels(&detail::format_label<typename Q::policy_type>::text,
                               &detail::format_label<typename Q::granularity_type>::text,
                               &detail::storage_label<typename Q::storage_type>::text);
}

template <a_quantizer... Q>
std::vector<std::string> format_names(menu<Q...>) {
  return {format_name<Q>()...};
}

}  // namespace vq::inline v1

#endif
