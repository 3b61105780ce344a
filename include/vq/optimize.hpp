// Better codes for the same bits (needs Eigen): rewriting and refining layers on calibration data,
// without back-propagation.
#ifndef VQ_OPTIMIZE_HPP
#define VQ_OPTIMIZE_HPP

#include <vq/optimize/bias_correction.hpp>
#include <vq/optimize/error_feedback.hpp>
#include <vq/optimize/migrate.hpp>
#include <vq/optimize/product_search.hpp>
#include <vq/optimize/reparameterize.hpp>
#include <vq/optimize/ridge.hpp>

#endif
