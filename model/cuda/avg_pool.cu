#include "kernel.h"

// y = mean of a plane of x; a block takes one plane after the other.
extern "C" __global__ void global_avg_pool(unsigned planes, unsigned plane, const float *x, float *y) {
    for (unsigned p = blockIdx.x; p < planes; p += gridDim.x) {
        float sum = 0.0f;
        for (unsigned i = threadIdx.x; i < plane; i += blockDim.x) sum += x[p * plane + i];
        const double total = block_sum(sum);
        if (threadIdx.x == 0) y[p] = float(total / plane);
    }
}
TWIN(global_avg_pool)

// grad_x += grad_y / plane, for each value of a plane.
extern "C" __global__ void global_avg_pool_gradient(unsigned n, unsigned plane, const float *grad_y, float *grad_x) {
    for (unsigned i = first(); i < n; i += stride()) grad_x[i] += grad_y[i / plane] / plane;
}
TWIN(global_avg_pool_gradient)
