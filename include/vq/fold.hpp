// Folding: batch norms into their neighbours, equalization of channels, bias correction. Works on
// views of the caller's weights; standard library only (freestanding-class headers), no heap, no
// exceptions.
#ifndef VQ_FOLD_HPP
#define VQ_FOLD_HPP

#include <vq/fold/absorb.hpp>
#include <vq/fold/audit.hpp>
#include <vq/fold/batch_norm.hpp>
#include <vq/fold/bias_correction.hpp>
#include <vq/fold/equalize.hpp>
#include <vq/fold/expectation.hpp>

#endif
