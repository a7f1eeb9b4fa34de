// Sixteen comparisons at once, as bits: with the instructions of the processor where there are some, else by hand.
#pragma once
#include <cstdint>
#include <cstring>
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

// The same in bfloat16, rounded to the nearest and to even between two, as torch rounds.
inline void scale(const float* __restrict w, uint32_t bits, uint16_t* __restrict out) {
#if defined(__AVX512F__)
    const __m512 gates = _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), _mm512_set1_ps(1.0f));
    const __m512 gated = _mm512_mul_ps(_mm512_loadu_ps(w), gates);
    const __m512i whole = _mm512_castps_si512(gated);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(whole, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(whole, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 not_numbers = _mm512_cmp_ps_mask(gated, gated, _CMP_UNORD_Q);
    const __m512i found = _mm512_mask_mov_epi32(rounded, not_numbers, _mm512_set1_epi32(0x7fc0));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(found));
#else
    float gated[LANES];
    scale(w, bits, gated);
    for (int j = 0; j < LANES; ++j) {
        uint32_t whole;
        std::memcpy(&whole, gated + j, sizeof whole);
        const bool number = (whole & 0x7fffffffu) <= 0x7f800000u;
        out[j] = number ? (whole + 0x7fffu + (whole >> 16 & 1)) >> 16 : 0x7fc0;
    }
#endif
}
