// expect: codes_between reaches outside the codes that these bits have
#include <vq/quant.hpp>

constexpr auto limits = vq::uniform<4, vq::asymmetric, vq::codes_between<-8, 8>>::limits;
