// Sixteen comparisons at once, as bits: with the instructions of the processor where there are some, else by hand.
#pragma once
#include <cstdint>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

constexpr int LANES = 16;

struct Compared {
    uint32_t above, from_low, not_numbers;  // bit j: s[j] > high, s[j] >= low, s[j] is NaN
};

inline Compared compare(const float* s, float low, float high) {
#if defined(__AVX512F__)
    const __m512 x = _mm512_loadu_ps(s);
    return {_mm512_cmp_ps_mask(x, _mm512_set1_ps(high), _CMP_GT_OQ),
            _mm512_cmp_ps_mask(x, _mm512_set1_ps(low), _CMP_GE_OQ), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q)};
#elif defined(__AVX2__)
    Compared found = {0, 0, 0};
    for (int half = 0; half < 2; ++half) {
        const __m256 x = _mm256_loadu_ps(s + 8 * half);
        const auto bits = [&](__m256 lanes) { return static_cast<uint32_t>(_mm256_movemask_ps(lanes)) << 8 * half; };
        found.above |= bits(_mm256_cmp_ps(x, _mm256_set1_ps(high), _CMP_GT_OQ));
        found.from_low |= bits(_mm256_cmp_ps(x, _mm256_set1_ps(low), _CMP_GE_OQ));
        found.not_numbers |= bits(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    }
    return found;
#else
    Compared found = {0, 0, 0};
    for (int j = 0; j < LANES; ++j) {
        found.above |= static_cast<uint32_t>(s[j] > high) << j;
        found.from_low |= static_cast<uint32_t>(s[j] >= low) << j;
        found.not_numbers |= static_cast<uint32_t>(s[j] != s[j]) << j;
    }
    return found;
#endif
}

// out[j] = w[j] where bit j is set, and elsewhere w[j] * 0, which keeps the sign.
inline void scale(const float* __restrict w, uint32_t bits, float* __restrict out) {
#if defined(__AVX512F__)
    const __m512 gates = _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), _mm512_set1_ps(1.0f));
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_loadu_ps(w), gates));
#else
    for (int j = 0; j < LANES; ++j) out[j] = w[j] * static_cast<float>(bits >> j & 1);
#endif
}
