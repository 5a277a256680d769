#include "bf16.h"

// y = mean of a plane of x; a block takes one plane after the other.
extern "C" __global__ void global_avg_pool(unsigned batch, unsigned channels, unsigned plane, const float *x,
                                           float *y) {
    for (unsigned p = blockIdx.x; p < batch * channels; p += gridDim.x) {
        float sum = 0.0f;
        for (unsigned i = threadIdx.x; i < plane; i += blockDim.x) sum += x[p * plane + i];
        const double total = block_sum(sum);
        if (threadIdx.x == 0) y[p] = float(total / plane);
    }
}
TWIN(global_avg_pool)

// grad_x += grad_y / plane, for each value of a plane.
extern "C" __global__ void global_avg_pool_gradient(unsigned batch, unsigned channels, unsigned plane,
                                                    const float *grad_y, float *grad_x) {
    for (unsigned i = first(); i < batch * channels * plane; i += stride()) grad_x[i] += grad_y[i / plane] / plane;
}
TWIN(global_avg_pool_gradient)

// The same of bf16 images, batch x plane x channels; a thread takes a pair of channels of an image.
extern "C" __global__ void global_avg_pool_bf16(unsigned batch, unsigned channels, unsigned plane, const unsigned *x,
                                                float *y) {
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * pairs; i += stride()) {
        const unsigned image = i / pairs, pair = i % pairs;
        Pair sum = {0.0f, 0.0f};
        for (unsigned pixel = 0; pixel < plane; pixel++) {
            const Pair value = unpacked(x[(image * plane + pixel) * pairs + pair]);
            sum = {sum.low + value.low, sum.high + value.high};
        }
        y[2 * i] = sum.low / plane;
        y[2 * i + 1] = sum.high / plane;
    }
}
TWIN(global_avg_pool_bf16)

extern "C" __global__ void global_avg_pool_bf16_gradient(unsigned batch, unsigned channels, unsigned plane,
                                                         const float *grad_y, unsigned *grad_x) {
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * plane * pairs; i += stride()) {
        const float *grad = grad_y + i / (plane * pairs) * channels + i % pairs * 2;
        add_pair(&grad_x[i], {grad[0] / plane, grad[1] / plane});
    }
}
TWIN(global_avg_pool_bf16_gradient)
