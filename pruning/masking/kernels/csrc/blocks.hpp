// Work cut into blocks of a fixed size, and threads that take one block after the other. Partial sums are kept by block and
// added in order, so the bits of every result are the same for any number of threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

constexpr int64_t BLOCK = 65536;
constexpr int64_t CHUNK = 1024;  // of a block; what is read twice comes from the first-level cache the second time

struct Block {
    int64_t matrix, begin, end;
};

inline std::vector<Block> blocks_of(int64_t first, int64_t last, const int64_t* sizes) {
    std::vector<Block> blocks;
    for (int64_t matrix = first; matrix < last; ++matrix)
        for (int64_t begin = 0; begin < sizes[matrix]; begin += BLOCK)
            blocks.push_back({matrix, begin, begin + BLOCK < sizes[matrix] ? begin + BLOCK : sizes[matrix]});
    return blocks;
}

// Calls work(job) for every job, on torch's own threads where both use the same OpenMP, whose pool is then awake already; else
// on threads that live as long as the call. Raises std::bad_alloc if one of them did.
template <class Work>
void in_parallel(int64_t jobs, int threads, const Work& work) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> no_memory{false};
    auto run = [&] {
        try {
            for (int64_t job; (job = next.fetch_add(1)) < jobs;) work(job);
        } catch (const std::bad_alloc&) {
            no_memory = true;
        }
    };
    const int wanted = static_cast<int>(jobs < threads ? jobs : threads);
    if (wanted <= 1) {
        run();
    } else {
#ifdef _OPENMP
#pragma omp parallel num_threads(wanted)
        run();
#else
        std::vector<std::thread> others;
        for (int i = 1; i < wanted; ++i) try {
                others.emplace_back(run);
            } catch (const std::system_error&) {
                break;  // the machine gives no more threads: those that are there do the work
            }
        run();
        for (auto& thread : others) thread.join();
#endif
    }
    if (no_memory) throw std::bad_alloc();
}
