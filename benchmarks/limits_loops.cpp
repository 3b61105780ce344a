// Compiled once per instruction set, with its flags and VQB_ISA = plain, avx2 or avx512. Nothing of
// the standard library is instantiated here: another unit could be handed this unit's code.
#include "limits_loops.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vqb {

namespace {

#if defined(__AVX512F__)
constexpr std::size_t width = 64;
#define VQB_REGISTER "v"
#elif defined(__AVX2__)
constexpr std::size_t width = 32;
#define VQB_REGISTER "x"
#else
constexpr std::size_t width = 16;
#if defined(__x86_64__)
#define VQB_REGISTER "x"
#else
#define VQB_REGISTER "w"
#endif
#endif

// A register of bytes in the vector extension of GCC and Clang; it may alias anything.
typedef unsigned long long reg __attribute__((vector_size(width), may_alias));

template <bool Streaming>
void store(std::byte* to, reg value) {
  if constexpr (Streaming) {
#if defined(__AVX512F__)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), reinterpret_cast<__m512i>(value));
#elif defined(__AVX2__)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(value));
#elif defined(__x86_64__)
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), reinterpret_cast<__m128i>(value));
#else
    *reinterpret_cast<reg*>(to) = value;
#endif
  } else {
    *reinterpret_cast<reg*>(to) = value;
  }
}

template <bool Streaming, int Reads, int Writes>
void stream(const std::byte* in, std::byte* out, std::size_t blocks) {
  reg kept = {};
#pragma GCC unroll 4
  for (std::size_t block = 0; block < blocks; ++block) {
    reg value = {};
#pragma GCC unroll 8
    for (int i = 0; i < Reads; ++i) value ^= reinterpret_cast<const reg*>(in)[i];
#pragma GCC unroll 8
    for (int i = 0; i < Writes; ++i) {
      store<Streaming>(out + static_cast<std::size_t>(i) * width, value);
    }
    if constexpr (Writes == 0) kept ^= value;
    in += Reads * width;
    out += Writes * width;
  }
  asm volatile("" : : VQB_REGISTER(kept) : "memory");
#if defined(__x86_64__)
  if constexpr (Streaming) _mm_sfence();
#endif
}

template <int Reads, int Writes>
constexpr stream_shape shape{Reads, Writes, stream<false, Reads, Writes>,
                             stream<true, Reads, Writes>};
constexpr stream_shape shapes[] = {shape<8, 0>, shape<0, 4>, shape<1, 1>, shape<2, 1>, shape<4, 1>,
                                   shape<8, 1>, shape<1, 2>, shape<1, 4>, shape<1, 8>};

// Twelve chains hide the latency of every multiply-add known to us, and fit sixteen registers.
template <class Register, Register (*Step)(Register, Register, Register)>
void chains(long rounds) {
  Register a = {}, b = {}, sums[12] = {};
  asm volatile("" : "+" VQB_REGISTER(a), "+" VQB_REGISTER(b));
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      sums[i] = Step(sums[i], a, b);
      asm volatile("" : "+" VQB_REGISTER(sums[i]));  // a chain stays a chain
    }
  }
}
constexpr int per_lane = 12 * 2;  // chains, and a multiply-add is two operations

#if defined(__AVX512F__)
__m512i dot_int8(__m512i sum, __m512i a, __m512i b) { return _mm512_dpbusd_epi32(sum, a, b); }
__m512i dot_bf16(__m512i sum, __m512i a, __m512i b) {
  return reinterpret_cast<__m512i>(_mm512_dpbf16_ps(
      reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
}
__m512 dot_f32(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
constexpr peak_shape int8{chains<__m512i, dot_int8>, 64 * per_lane};
constexpr peak_shape bf16{chains<__m512i, dot_bf16>, 32 * per_lane};
constexpr peak_shape f32{chains<__m512, dot_f32>, 16 * per_lane};
#elif defined(__AVX2__)
__m256i dot_int8(__m256i sum, __m256i a, __m256i b) {
  const __m256i ones = _mm256_set1_epi16(1);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
}
__m256 dot_f32(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }
constexpr peak_shape int8{chains<__m256i, dot_int8>, 32 * per_lane};
constexpr peak_shape bf16{};
constexpr peak_shape f32{chains<__m256, dot_f32>, 8 * per_lane};
#else
typedef float floats __attribute__((vector_size(16)));
floats dot_f32(floats sum, floats a, floats b) { return sum + a * b; }
constexpr peak_shape int8{}, bf16{};
constexpr peak_shape f32{chains<floats, dot_f32>, 4 * per_lane};
#endif

}  // namespace

#define VQB_TABLE_OF(isa) limit_loops_##isa
#define VQB_TABLE(isa) VQB_TABLE_OF(isa)
extern const limit_loops VQB_TABLE(VQB_ISA);
const limit_loops VQB_TABLE(VQB_ISA){
    width, shapes, sizeof shapes / sizeof shapes[0], {int8, bf16, f32}};

}  // namespace vqb
