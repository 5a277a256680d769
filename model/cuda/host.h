// CUDA on the host, for the tests: blocks run one after the other, and a block's threads are fibres that take turns at
// each barrier. So indices, shared memory and barriers are those of the device, and a missing barrier shows as a result
// that depends on the order of the threads.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static

struct Index {
    unsigned x, y;
};
inline Index threadIdx, blockIdx, blockDim, gridDim;

namespace twin {

struct Fibre {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(64 << 10);
    bool done = false;
};

inline ucontext_t scheduler;
inline Fibre *current;
inline void (*body)(void *);
inline void *body_arguments;

inline void enter() {
    body(body_arguments);
    current->done = true;
    swapcontext(&current->context, &scheduler);
}

// Lets every thread of the block run up to its next barrier, until all are done.
inline void run_block(std::vector<Fibre> &fibres, bool backwards) {
    for (auto &fibre : fibres) {
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = fibre.stack.size();
        fibre.context.uc_link = nullptr;
        fibre.done = false;
        makecontext(&fibre.context, enter, 0);
    }
    const unsigned threads = fibres.size();
    for (unsigned done = 0; done < threads;) {
        done = 0;
        for (unsigned turn = 0; turn < threads; turn++) {
            const unsigned thread = backwards ? threads - 1 - turn : turn;
            threadIdx = {thread, 0};
            current = &fibres[thread];
            swapcontext(&scheduler, &current->context);
            done += current->done;
        }
        if (done != 0 && done != threads) {
            std::fprintf(stderr, "%u of %u threads ended before a barrier\n", done, threads);
            std::abort();
        }
    }
}

// Calls `kernel` for each thread of a grid, with arguments as cuLaunchKernel takes them.
template <typename... Arguments, std::size_t... I>
void run(void (*kernel)(Arguments...), Index grid, unsigned threads, void **arguments, bool backwards,
         std::index_sequence<I...>) {
    auto call = [&] { kernel(*static_cast<Arguments *>(arguments[I])...); };
    body = [](void *call_pointer) { (*static_cast<decltype(call) *>(call_pointer))(); };
    body_arguments = &call;
    gridDim = grid;
    blockDim = {threads, 1};
    std::vector<Fibre> fibres(threads);
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) run_block(fibres, backwards);
}

template <typename... Arguments>
void launch(void (*kernel)(Arguments...), Index grid, unsigned threads, void **arguments, bool backwards) {
    run(kernel, grid, threads, arguments, backwards, std::index_sequence_for<Arguments...>());
}

} // namespace twin

inline void __syncthreads() { swapcontext(&twin::current->context, &twin::scheduler); }

#define TWIN(kernel)                                                                                                   \
    extern "C" void twin_##kernel(unsigned blocks_x, unsigned blocks_y, unsigned threads, void **arguments,            \
                                  bool backwards) {                                                                    \
        twin::launch(kernel, {blocks_x, blocks_y}, threads, arguments, backwards);                                     \
    }
