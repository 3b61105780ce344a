// A list of quantizers to choose from: the bridge from a choice made at run time to a type.
//
//   using formats = vq::menu<vq::quantizer<vq::uniform<8>, vq::per_channel<0>>, my_format>;
//   formats::visit(choice, [&](auto q) { ... });     // false when there is no such entry
//
// No virtual functions, no registry, no globals: a quantizer of the user's own is an entry like
// any.
#ifndef VQ_QUANTIZER_MENU_HPP
#define VQ_QUANTIZER_MENU_HPP

#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

template <a_quantizer... Q>
struct menu {
  static constexpr index_type size = sizeof...(Q);

  // Calls f(quantizer) for entry number `chosen`; false when there is none.
  template <class F>
  static constexpr bool visit(index_type chosen, F&& f) {
    index_type i = 0;
    return ((i++ == chosen ? (f(Q{}), true) : false) || ...);
  }

  // Calls f(number, quantizer) for every entry.
  template <class F>
  static constexpr void for_each(F&& f) {
    index_type i = 0;
    (f(i++, Q{}), ...);
  }
};

}  // namespace vq::inline v1

#endif
