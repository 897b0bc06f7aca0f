// The few words of CUDA C that the kernels use, for a C++ compiler: a block is so many threads of the
// machine with a barrier (usually one thread without), blocks run one after the other.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static thread_local dim3 threadIdx;
static dim3 blockIdx, blockDim, gridDim;
static std::barrier<> *everyone = nullptr;

#define __global__
#define __grid_constant__
#define __device__ static
#define __launch_bounds__(n)
#define __shared__ static
#define __syncthreads() (everyone ? everyone->arrive_and_wait() : void())

struct uint4 {
    unsigned x, y, z, w;
};
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

static inline unsigned atomicAdd(unsigned *at, unsigned by) {
    return std::atomic_ref<unsigned>(*at).fetch_add(by);
}

// PTX ISA, `prmt` in its plain mode, and `dp2a` of unsigned numbers.
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned which) {
    unsigned long long both = (unsigned long long)b << 32 | a;
    unsigned out = 0;
    for (int i = 0; i < 4; i++) out |= (unsigned)(both >> 8 * (which >> 4 * i & 7) & 0xff) << 8 * i;
    return out;
}
static inline unsigned __dp2a_lo(unsigned a, unsigned b, unsigned c) {
    return c + (a & 0xffff) * (b & 0xff) + (a >> 16) * (b >> 8 & 0xff);
}
static inline unsigned __dp2a_hi(unsigned a, unsigned b, unsigned c) {
    return c + (a & 0xffff) * (b >> 16 & 0xff) + (a >> 16) * (b >> 24);
}

#include "kernels/common.cu"
#include "kernels/tile.cu"
#include "kernels/plain.cu"
#include "kernels/passes.cu"

template <typename P>
static void run(void (*kernel)(P), const void *params, const unsigned *grid, unsigned threads) {
    P given;
    std::memcpy(&given, params, sizeof given);
    gridDim = {grid[0], grid[1], 1};
    blockDim = {threads, 1, 1};
    std::barrier<> all(threads);
    everyone = threads > 1 ? &all : nullptr;
    auto thread = [&](unsigned i) {
        threadIdx = {i, 0, 0};
        for (unsigned y = 0; y < grid[1]; y++) {
            for (unsigned x = 0; x < grid[0]; x++) {
                if (i == 0) blockIdx = {x, y, 0};
                __syncthreads();
                kernel(given);
                __syncthreads();
            }
        }
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; i++) others.emplace_back(thread, i);
    thread(0);
    for (auto &other : others) other.join();
}

// Runs a kernel by its number in `Kernel` (mask.rs); `params` are its structure, `size` bytes.
extern "C" int emulate(unsigned kernel, const void *params, unsigned long size, const unsigned *grid,
                       unsigned threads) {
#define RUN(number, name, type)                                                                      \
    if (kernel == number && size == sizeof(type)) return run<type>(name, params, grid, threads), 0
#if PART == 0 || PART == 1
    RUN(0, compose, Compose);
#endif
#if PART == 0 || PART == 2
    RUN(1, compose_plain, Compose);
#endif
#if PART == 0 || PART == 3
    RUN(2, resample_across, Resample);
    RUN(3, resample_down, Resample);
    RUN(4, sharpen, Resample);
    RUN(5, transition, Transition);
    RUN(6, tensor, Tensor);
    RUN(7, histogram, Look);
    RUN(8, small, Look);
    RUN(9, difference, Look);
#endif
    return 1;
}
