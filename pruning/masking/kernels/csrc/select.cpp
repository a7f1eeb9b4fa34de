// Exactly k ones at the largest scores, lowest index first among equals; and masked weights from such masks. The twin of
// pruning/masking/topk.py, for float32: the masks are the same to the last bit, whichever way they were found.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <new>

#include "blocks.hpp"
#include "lanes.hpp"

namespace {

constexpr int TRIES = 6;
enum Status : int { DONE = 0, NOT_A_NUMBER = 1, NO_MEMORY = 2 };

struct Found {  // in one block, for a bracket
    int64_t above = 0;
    std::vector<float> inside;
    bool too_many = false;  // inside: ties, or a bracket far too wide; neither is worth the memory
    bool numbers = true;
};

Found look(const float* s, int64_t n, float low, float high) {
    Found found;
    const size_t most = std::max<int64_t>(n / 4, 4 * LANES);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const Compared bits = compare(s + i, low, high);
        found.above += __builtin_popcount(bits.above);
        found.numbers &= bits.not_numbers == 0;
        uint32_t inside = bits.from_low & ~bits.above;
        if (!inside || found.inside.size() > most) continue;
        for (; inside; inside &= inside - 1) found.inside.push_back(s[i + __builtin_ctz(inside)]);
    }
    for (; i < n; ++i) {
        found.above += s[i] > high;
        found.numbers &= s[i] == s[i];
        if (s[i] >= low && !(s[i] > high)) found.inside.push_back(s[i]);
    }
    found.too_many = found.inside.size() > most;
    return found;
}

// Whole numbers in the order of the floats; -0.0 becomes 0.0 first.
inline uint32_t key_of(float score) {
    uint32_t bits;
    score += 0.0f;
    std::memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

inline float score_of(uint32_t key) {
    const uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float score;
    std::memcpy(&score, &bits, sizeof score);
    return score;
}

// Masks are bits, the first score in the lowest bit of the first byte. Where not all scores at
// the threshold are kept, those with the lowest indices are. Returns how many of them are left to keep.
int64_t write(const float* __restrict s, uint8_t* __restrict mask, int64_t n, float threshold, int64_t left,
              bool all_ties) {
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t here = n - i < LANES ? n - i : LANES;
        uint32_t bits = 0;
        if (here == LANES && (all_ties || left <= 0)) {
            const Compared found = compare(s + i, threshold, threshold);
            bits = all_ties ? found.from_low | found.not_numbers : found.above;
        } else {
            for (int64_t j = 0; j < here; ++j) {
                const bool tie = !(s[i + j] < threshold) && !(s[i + j] > threshold);
                const bool kept = s[i + j] > threshold || (tie && (all_ties || left-- > 0));
                bits |= static_cast<uint32_t>(kept) << j;
            }
        }
        mask[i / 8] = bits & 0xff;
        if (here > 8) mask[i / 8 + 1] = bits >> 8;
    }
    return left;
}

template <class Number>
void expand(const float* w, const uint8_t* mask, Number* out, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES)
        scale(w + i, mask[i / 8] | static_cast<uint32_t>(mask[i / 8 + 1]) << 8, out + i);
    if (i == end) return;
    float last[LANES] = {};
    Number scaled[LANES];
    std::copy(w + i, w + end, last);
    scale(last, mask[i / 8] | (end - i > 8 ? static_cast<uint32_t>(mask[i / 8 + 1]) << 8 : 0), scaled);
    std::copy(scaled, scaled + (end - i), out + i);
}

struct Ranking {
    std::vector<Block> blocks;
    const float* const* scores;
    int64_t k, total;
    int threads;
    float threshold = 0;
    std::vector<int64_t> ties, ties_kept;  // by block

    const float* at(const Block& block) const { return scores[block.matrix] + block.begin; }

    // By the bracket around the guess; false where the k-th score is in none of those tried.
    bool warm(double center, double& width, bool& numbers) {
        std::vector<Found> found(blocks.size());
        for (int i = 0; i < TRIES; ++i) {
            const float low = static_cast<float>(center - width), high = static_cast<float>(center + width);
            in_parallel(blocks.size(), threads, [&](int64_t job) {
                found[job] = look(at(blocks[job]), blocks[job].end - blocks[job].begin, low, high);
            });
            int64_t above = 0, inside = 0;
            bool too_many = false;
            for (const auto& one : found) {
                above += one.above, inside += one.inside.size();
                too_many |= one.too_many, numbers &= one.numbers;
            }
            if (!numbers) return true;
            if (too_many) return false;
            if (above < k && k <= above + inside) {
                cut(found, k - above, inside);
                return true;
            }
            width = width > 0 ? 4 * width : 1e-3 * std::max(std::fabs(center), 1e-6);
        }
        return false;
    }

    void cut(const std::vector<Found>& found, int64_t missing, int64_t inside) {
        std::vector<float> values;
        values.reserve(inside);
        for (const auto& one : found) values.insert(values.end(), one.inside.begin(), one.inside.end());
        std::nth_element(values.begin(), values.begin() + missing - 1, values.end(), std::greater<float>());
        threshold = values[missing - 1];
        int64_t left = missing;
        for (const float value : values) left -= value > threshold;
        for (const auto& one : found) share(std::count(one.inside.begin(), one.inside.end(), threshold), left);
    }

    void share(int64_t here, int64_t& left) {
        ties.push_back(here);
        ties_kept.push_back(std::min(here, left));
        left -= ties_kept.back();
    }

    // Counts of the keys' upper or, among those with the upper half `of`, lower 16 bits; NaN has a place like any other.
    std::vector<int64_t> histogram(bool upper, uint32_t of) const {
        const int strips = std::max(1, threads);
        std::vector<std::vector<int64_t>> counts(strips);
        in_parallel(strips, threads, [&](int64_t strip) {
            counts[strip].resize(65536);
            for (size_t b = strip; b < blocks.size(); b += strips) {
                const float* s = at(blocks[b]);
                for (int64_t i = 0; i < blocks[b].end - blocks[b].begin; ++i) {
                    const uint32_t key = key_of(s[i]);
                    if (upper) ++counts[strip][key >> 16];
                    else if (key >> 16 == of) ++counts[strip][key & 0xffff];
                }
            }
        });
        for (int strip = 1; strip < strips; ++strip)
            for (int i = 0; i < 65536; ++i) counts[0][i] += counts[strip][i];
        return std::move(counts[0]);
    }

    // By the digits of the scores: three passes, for any scores.
    void cold() {
        int64_t left = k;
        auto digit = [&](const std::vector<int64_t>& counts) {
            uint32_t place = 65535;
            while (counts[place] < left) left -= counts[place--];
            return place;
        };
        const uint32_t upper = digit(histogram(true, 0));
        threshold = score_of(upper << 16 | digit(histogram(false, upper)));
        std::vector<int64_t> here(blocks.size());
        in_parallel(blocks.size(), threads, [&](int64_t job) {
            const float* s = at(blocks[job]);
            const int64_t n = blocks[job].end - blocks[job].begin;
            int64_t equal = 0;
            for (int64_t i = 0; i < n; ++i) equal += s[i] == threshold;
            here[job] = equal;
        });
        ties.clear(), ties_kept.clear();
        for (const int64_t one : here) share(one, left);
    }

    bool comparable() const {
        std::vector<int64_t> numbers(blocks.size());
        in_parallel(blocks.size(), threads, [&](int64_t job) {
            const float* s = at(blocks[job]);
            for (int64_t i = 0; i < blocks[job].end - blocks[job].begin; ++i) numbers[job] += s[i] == s[i];
        });
        int64_t sum = 0;
        for (const int64_t one : numbers) sum += one;
        return sum == total;
    }

    double deviation() const {  // of the first block: enough for a first width
        const float* s = at(blocks[0]);
        const int64_t n = blocks[0].end - blocks[0].begin;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; ++i) sum += s[i], squares += static_cast<double>(s[i]) * s[i];
        return std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
    }
};

}  // namespace

extern "C" {

// Ranking r is over the tensors bounds[r] to bounds[r + 1]. threshold (a guess, then what was found), width and known
// are its memory, which only saves time; cold counts the selections without it.
int espalier_select(int64_t rankings, const int64_t* bounds, const float* const* scores, const int64_t* sizes,
                    const int64_t* k, double* threshold, double* width, int64_t* known, int64_t* cold,
                    uint8_t* const* mask, int threads) {
    std::atomic<int> status{DONE};
    in_parallel(rankings, threads, [&](int64_t r) {
        try {
            Ranking own{blocks_of(bounds[r], bounds[r + 1], sizes), scores, k[r], 0, rankings > 1 ? 1 : threads, 0, {}, {}};
            for (int64_t i = bounds[r]; i < bounds[r + 1]; ++i) own.total += sizes[i];
            if (own.k == 0 || own.k == own.total) {
                own.threshold = own.k ? -INFINITY : INFINITY;
                own.ties.assign(own.blocks.size(), 1);
                own.ties_kept.assign(own.blocks.size(), own.k ? 1 : 0);
            } else {
                double tried = width[r];
                bool numbers = true;
                if (known[r] && own.warm(threshold[r], tried, numbers)) {
                    width[r] = std::max(2 * std::fabs(own.threshold - threshold[r]), 0.7 * tried);
                } else {
                    numbers = own.comparable();
                    if (numbers) own.cold();
                    width[r] = 0.02 * own.deviation();
                    known[r] = 1;
                    ++cold[r];
                }
                if (!numbers) {
                    known[r] = 0;
                    status = NOT_A_NUMBER;
                    return;
                }
                threshold[r] = own.threshold;
            }
            in_parallel(own.blocks.size(), own.threads, [&](int64_t job) {
                const auto [matrix, begin, end] = own.blocks[job];
                write(scores[matrix] + begin, mask[matrix] + begin / 8, end - begin, own.threshold, own.ties_kept[job],
                      own.ties_kept[job] == own.ties[job]);
            });
        } catch (const std::bad_alloc&) {
            status = NO_MEMORY;
        }
    });
    return status;
}

// out = w where the bit is set, else w * 0; out is bfloat16 if `half` is not 0.
void espalier_masked(const float* w, const uint8_t* mask, void* out, int64_t n, int half, int threads) {
    in_parallel((n + BLOCK - 1) / BLOCK, threads, [&](int64_t job) {
        const int64_t begin = job * BLOCK, end = std::min(n, begin + BLOCK);
        if (half) expand(w, mask, static_cast<uint16_t*>(out), begin, end);
        else expand(w, mask, static_cast<float*>(out), begin, end);
    });
}
}
