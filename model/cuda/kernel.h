// What every kernel includes. The same source is compiled by nvcc for the device and, for the tests, by a C++ compiler
// for the host: host.h then stands for CUDA.
#pragma once

#include <cstring>

#ifdef __CUDACC__
#define TWIN(kernel)
#else
#include "host.h"
#endif

// Threads of a block, all of them: kernels with a sum over a block are launched with exactly this many.
constexpr unsigned THREADS = 256;

// The first value of this thread, and the distance to its next, where a grid shares out values.
__device__ inline unsigned first() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline unsigned stride() { return gridDim.x * blockDim.x; }

// The sum of `value` over the block, for all its threads, in a fixed order.
__device__ inline double block_sum(double value) {
    __shared__ double sums[THREADS];
    __syncthreads(); // an earlier sum has been read
    sums[threadIdx.x] = value;
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    __syncthreads();
    return sums[0];
}
