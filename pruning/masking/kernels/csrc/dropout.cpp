// Dropout by a counter-based generator, Philox4x32-10 (Salmon et al., 2011): what becomes of element i is a function of a seed
// and i alone, so nothing is kept for the backward pass, which is the same function of the gradient, and any number of threads
// gives the same bits.
#include <cstring>

#include "blocks.hpp"
#include "lanes.hpp"

namespace {

constexpr int WORDS = 4;
constexpr int64_t DRAWN = WORDS * LANES;

// Words of the counters first, first + 1, ... as high and low half of the first two words, with zeros in the other two.
#if defined(__AVX512F__)
struct Product {
    __m512i high, low;
};

inline Product product(__m512i x, uint32_t factor) {  // of sixteen words by one, whole
    const __m512i by = _mm512_set1_epi32(static_cast<int>(factor));
    const __m512i even = _mm512_mul_epu32(x, by), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), by);
    return {_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd),
            _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32))};
}

inline void draw(uint64_t first, uint32_t key0, uint32_t key1, uint32_t (&c)[WORDS][LANES]) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    // a multiple of sixteen: the low halves of these counters do not overflow
    __m512i c0 = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), lanes);
    __m512i c1 = _mm512_set1_epi32(static_cast<int>(first >> 32)), c2 = _mm512_setzero_si512(), c3 = c2;
    for (int round = 0; round < 10; ++round) {
        const Product p = product(c0, 0xD2511F53u), q = product(c2, 0xCD9E8D57u);
        c0 = _mm512_xor_si512(_mm512_xor_si512(q.high, c1), _mm512_set1_epi32(static_cast<int>(key0)));
        c2 = _mm512_xor_si512(_mm512_xor_si512(p.high, c3), _mm512_set1_epi32(static_cast<int>(key1)));
        c1 = q.low;
        c3 = p.low;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    _mm512_storeu_si512(c[0], c0);
    _mm512_storeu_si512(c[1], c1);
    _mm512_storeu_si512(c[2], c2);
    _mm512_storeu_si512(c[3], c3);
}
#else
inline void draw(uint64_t first, uint32_t key0, uint32_t key1, uint32_t (&c)[WORDS][LANES]) {
    for (int j = 0; j < LANES; ++j) {
        c[0][j] = static_cast<uint32_t>(first + j);
        c[1][j] = static_cast<uint32_t>((first + j) >> 32);
        c[2][j] = c[3][j] = 0;
    }
    for (int round = 0; round < 10; ++round) {
        for (int j = 0; j < LANES; ++j) {
            const uint64_t p = static_cast<uint64_t>(c[0][j]) * 0xD2511F53u;
            const uint64_t q = static_cast<uint64_t>(c[2][j]) * 0xCD9E8D57u;
            c[0][j] = static_cast<uint32_t>(q >> 32) ^ c[1][j] ^ key0;
            c[2][j] = static_cast<uint32_t>(p >> 32) ^ c[3][j] ^ key1;
            c[1][j] = static_cast<uint32_t>(q);
            c[3][j] = static_cast<uint32_t>(p);
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}
#endif

inline float number(float x) { return x; }
inline float number(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float found;
    std::memcpy(&found, &bits, sizeof found);
    return found;
}
inline void put(float x, float& out) { out = x; }
inline void put(float x, uint16_t& out) {  // to the nearest bfloat16, and to even between two
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    out = x == x ? (bits + 0x7fffu + (bits >> 16 & 1)) >> 16 : 0x7fc0;
}

template <class Number>
inline void scale_where(const uint32_t* __restrict drawn, uint32_t threshold, float scale, const Number* __restrict x,
                        Number* __restrict y) {
    for (int j = 0; j < LANES; ++j) {
        const float scaled = number(x[j]) * scale;  // read in any case: a read that depends on the draw cannot be vectorised
        put(drawn[j] >= threshold ? scaled : 0.0f, y[j]);
    }
}

template <class Number>
void drop(const Number* __restrict x, Number* __restrict y, int64_t begin, int64_t end, uint64_t seed, uint32_t threshold,
          float scale) {
    uint32_t drawn[WORDS][LANES];
    for (int64_t i = begin; i < end; i += DRAWN) {
        draw(i / WORDS, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), drawn);
        const int64_t here = end - i < DRAWN ? end - i : DRAWN;
        if (here == DRAWN) {
            for (int w = 0; w < WORDS; ++w) scale_where(drawn[w], threshold, scale, x + i + w * LANES, y + i + w * LANES);
            continue;
        }
        for (int64_t k = 0; k < here; ++k)
            put(drawn[k / LANES][k % LANES] >= threshold ? number(x[i + k]) * scale : 0.0f, y[i + k]);
    }
}

}  // namespace

extern "C" {

// y = x * scale where the word drawn for the element is at least `threshold`, else 0; bfloat16 if `half` is not 0.
void espalier_dropout(const void* x, void* y, int64_t n, int half, uint64_t seed, uint32_t threshold, float scale,
                      int threads) {
    static_assert(BLOCK % DRAWN == 0, "blocks begin where a draw does");
    in_parallel((n + BLOCK - 1) / BLOCK, threads, [&](int64_t job) {
        const int64_t begin = job * BLOCK, end = begin + BLOCK < n ? begin + BLOCK : n;
        if (half)
            drop(static_cast<const uint16_t*>(x), static_cast<uint16_t*>(y), begin, end, seed, threshold, scale);
        else
            drop(static_cast<const float*>(x), static_cast<float*>(y), begin, end, seed, threshold, scale);
    });
}
}
