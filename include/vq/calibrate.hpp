// Observers and estimators: how ranges are found from data. For hosted programs.
#ifndef VQ_CALIBRATE_HPP
#define VQ_CALIBRATE_HPP

#include <vq/calibrate/entropy.hpp>
#include <vq/calibrate/estimate_params.hpp>
#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/fit.hpp>
#include <vq/calibrate/histogram.hpp>
#include <vq/calibrate/minmax.hpp>
#include <vq/calibrate/moving_average.hpp>
#include <vq/calibrate/mse.hpp>
#include <vq/calibrate/observer.hpp>
#include <vq/calibrate/onnx_histogram.hpp>
#include <vq/calibrate/onnx_thresholds.hpp>
#include <vq/calibrate/percentile.hpp>
#include <vq/calibrate/power_of_two_factor.hpp>
#include <vq/calibrate/sliced_observer.hpp>
#include <vq/calibrate/torch_histogram.hpp>
#include <vq/calibrate/torch_l2.hpp>
#include <vq/quant.hpp>

#endif
