// What quantization does to a model: which layers hurt, error metrics, rankings, the shape of
// distributions, and whether integer layers can overflow.
//
// Names of formats and failures are strings, so the hosted standard library is needed; nothing else.
#ifndef VQ_SENSITIVITY_HPP
#define VQ_SENSITIVITY_HPP

#include <vq/analyze/answers.hpp>
#include <vq/analyze/classification.hpp>
#include <vq/analyze/distribution.hpp>
#include <vq/analyze/divergence.hpp>
#include <vq/analyze/format_name.hpp>
#include <vq/analyze/integer_safety.hpp>
#include <vq/analyze/metrics.hpp>
#include <vq/analyze/rank_correlation.hpp>
#include <vq/analyze/retrieval.hpp>
#include <vq/analyze/retrieval_agreement.hpp>
#include <vq/analyze/sensitivity.hpp>
#include <vq/analyze/sensitivity_proxy.hpp>

#endif
