// The distributions as one HTML page: no network, no script; inline SVG for light and dark screens.
#ifndef DEMO_TRANSFORMER_DISTRIBUTION_PAGE_HPP
#define DEMO_TRANSFORMER_DISTRIBUTION_PAGE_HPP

#include <string>

#include "demo/transformer/distributions.hpp"

namespace demo {

std::string distribution_page(const distributions& found);

}  // namespace demo

#endif
