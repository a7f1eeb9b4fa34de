// What an update does to the scores: their gradient, and Adam. Twins of the plain functions in pruning/masking/score_adam.py, for
// float32; sums are in float64 except for the first thousand of each.
#include <cmath>
#include <cstring>

#include "blocks.hpp"
#include "lanes.hpp"

namespace {

// 1 / (1 + exp(-x)) to about 2 units in the last place. exp by 2^n times a polynomial (Cephes); the constant added and
// taken away rounds to the nearest whole number in a way that every compiler can vectorise.
inline float sigmoid(float x) {
    float y = -x;
    y = y > 88.0f ? 88.0f : y;
    y = y < -87.0f ? -87.0f : y;
    const float shifted = y * 1.44269504088896341f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    const float r = (y - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + (r + 1.0f);
    uint32_t bits;  // whose last ones are n: moved up, they are the exponent of 2^n
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return 1.0f / (1.0f + p * power);
}

template <class Number>
double total(const Number* lanes) {
    double sum = 0;
    for (int j = 0; j < LANES; ++j) sum += lanes[j];
    return sum;
}

// Of at most CHUNK scores: few enough for float32. Never inlined: in an update and on its own it must give the same bits.
__attribute__((noinline)) double sum_of_sigmoids(const float* scores, int64_t n, float inverse_temperature) {
    float lanes[LANES] = {};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; ++j) lanes[j] += sigmoid(scores[i + j] * inverse_temperature);
    for (int j = 0; i < n; ++i, ++j) lanes[j] += sigmoid(scores[i] * inverse_temperature);
    return total(lanes);
}

struct Sums {
    double mass = 0, square = 0;
};

// Of at most CHUNK weights.
template <bool SLOPED>
void add_gradient(float* __restrict g, const float* __restrict w, const float* __restrict s,
                  const float* __restrict slope, int64_t n, float shift, float pull, Sums& sums) {
    float mass[LANES] = {};
    double square[LANES] = {};  // in float32 the square of a small gradient would be 0
    auto one = [&](int64_t i, int j) {
        const float sigma = sigmoid(s[i] - shift);
        float own = g[i] * w[i];
        if (SLOPED) own *= slope[i];
        own += pull * (sigma - sigma * sigma);
        g[i] = own;
        mass[j] += sigma;
        square[j] += static_cast<double>(own) * own;
    };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; ++j) one(i + j, j);
    for (int j = 0; i < n; ++i, ++j) one(i, j);
    sums.mass += total(mass);
    sums.square += total(square);
}

struct Adam {
    float clip, keep1, take1, keep2, take2, step, correction, epsilon;
};

void move(float* __restrict s, const float* __restrict g, float* __restrict m, float* __restrict v, int64_t n,
          const Adam& adam) {
    const Adam a = adam;
    for (int64_t i = 0; i < n; ++i) {
        const float own = g[i] * a.clip;
        const float first = m[i] * a.keep1 + own * a.take1;
        const float second = v[i] * a.keep2 + own * own * a.take2;
        m[i] = first;
        v[i] = second;
        s[i] += a.step * (first / (std::sqrt(second) / a.correction + a.epsilon));
    }
}

}  // namespace

extern "C" {

// g <- g * w (* slope) + pull * sigma(s - shift)(1 - sigma(s - shift)); sums of sigma and of g^2 of each matrix.
void espalier_gradients(int64_t count, float* const* g, const float* const* w, const float* const* s,
                        const float* const* slope, const int64_t* sizes, float shift, const float* pull, double* mass,
                        double* square, int threads) {
    const auto blocks = blocks_of(0, count, sizes);
    std::vector<Sums> sums(blocks.size());
    in_parallel(blocks.size(), threads, [&](int64_t job) {
        const auto [matrix, begin, end] = blocks[job];
        const auto gradient = slope[matrix] ? add_gradient<true> : add_gradient<false>;
        for (int64_t at = begin; at < end; at += CHUNK)
            gradient(g[matrix] + at, w[matrix] + at, s[matrix] + at, slope[matrix] ? slope[matrix] + at : nullptr,
                     end - at < CHUNK ? end - at : CHUNK, shift, pull[matrix], sums[job]);
    });
    for (int64_t matrix = 0; matrix < count; ++matrix) mass[matrix] = square[matrix] = 0;
    for (size_t job = 0; job < blocks.size(); ++job) {
        mass[blocks[job].matrix] += sums[job].mass;
        square[blocks[job].matrix] += sums[job].square;
    }
}

// One update of moments and scores; where inverse_temperature is not 0, also the sum of sigma(s / p) of the new scores.
void espalier_adam(int64_t count, float* const* s, const float* const* g, float* const* m, float* const* v,
                   const int64_t* sizes, const float* constants, const float* inverse_temperature, double* mass,
                   int threads) {
    const auto blocks = blocks_of(0, count, sizes);
    const Adam adam = {constants[0], constants[1], constants[2], constants[3],
                       constants[4], constants[5], constants[6], constants[7]};
    std::vector<double> sums(blocks.size());
    in_parallel(blocks.size(), threads, [&](int64_t job) {
        const auto [matrix, begin, end] = blocks[job];
        const float inverse = inverse_temperature[matrix];
        for (int64_t at = begin; at < end; at += CHUNK) {
            const int64_t n = end - at < CHUNK ? end - at : CHUNK;
            move(s[matrix] + at, g[matrix] + at, m[matrix] + at, v[matrix] + at, n, adam);
            if (inverse != 0) sums[job] += sum_of_sigmoids(s[matrix] + at, n, inverse);
        }
    });
    for (int64_t matrix = 0; matrix < count; ++matrix) mass[matrix] = 0;
    for (size_t job = 0; job < blocks.size(); ++job) mass[blocks[job].matrix] += sums[job];
}

// The sum of sigma(s / p) of each matrix, as espalier_adam finds it.
void espalier_masses(int64_t count, const float* const* s, const int64_t* sizes, float inverse_temperature, double* mass,
                     int threads) {
    const auto blocks = blocks_of(0, count, sizes);
    std::vector<double> sums(blocks.size());
    in_parallel(blocks.size(), threads, [&](int64_t job) {
        const auto [matrix, begin, end] = blocks[job];
        for (int64_t at = begin; at < end; at += CHUNK)
            sums[job] += sum_of_sigmoids(s[matrix] + at, end - at < CHUNK ? end - at : CHUNK, inverse_temperature);
    });
    for (int64_t matrix = 0; matrix < count; ++matrix) mass[matrix] = 0;
    for (size_t job = 0; job < blocks.size(); ++job) mass[blocks[job].matrix] += sums[job];
}
}
