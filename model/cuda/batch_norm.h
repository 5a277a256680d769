// What batch norm of both formats shares: sums in parts of a channel, what is made of them, and the values' terms.
#pragma once

#include "kernel.h"

// The sum of a channel's parts, by all threads of a block.
__device__ inline double sum_of_parts(const double *sums, unsigned channel, unsigned parts, unsigned which) {
    double sum = 0;
    const double *of_channel = sums + channel * parts * 2;
    for (unsigned part = threadIdx.x; part < parts; part += blockDim.x) sum += of_channel[part * 2 + which];
    return block_sum(sum);
}

// Mean and 1 / sqrt(var + epsilon) of channel c, and the running statistics a step towards them, from the sums of
// x - origin and of its square; called by all threads of a block.
__device__ inline void write_statistics(unsigned c, double count, unsigned parts, float epsilon, float momentum,
                                        float origin, const double *sums, float *mean, float *inv_std,
                                        float *running_mean, float *running_var) {
    const double shifted = sum_of_parts(sums, c, parts, 0) / count;
    const double var = fmax(sum_of_parts(sums, c, parts, 1) / count - shifted * shifted, 0.0);
    if (threadIdx.x != 0) return;
    mean[c] = float(origin + shifted);
    inv_std[c] = float(1.0 / sqrt(var + epsilon));
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_var[c] += momentum * (float(var * count / fmax(count - 1.0, 1.0)) - running_var[c]);
}

// (x - mean) inv_std scale + shift; no scale and shift stand for 1 and 0.
__device__ inline float normalized(float x, unsigned c, const float *mean, const float *inv_std, const float *scale,
                                   const float *shift) {
    const float factor = scale ? scale[c] * inv_std[c] : inv_std[c];
    return (x - mean[c]) * factor + (shift ? shift[c] : 0.0f);
}

// max(0, value) if `relu`; what is no number stays so.
__device__ inline float activated(unsigned relu, float value) { return relu && value <= 0.0f ? 0.0f : value; }

// What the activation let through of dy: with ReLU it is open where the output is above 0.
__device__ inline float let_through(unsigned relu, float output, float dy) {
    return !relu || output > 0.0f ? dy : 0.0f;
}

// dx = factor dy + slope (x - mean) + offset, with the channel's terms.
__device__ inline float input_gradient(unsigned c, float dy, float x, const float *mean, const float *terms) {
    return terms[c * 3] * dy + terms[c * 3 + 1] * (x - mean[c]) + terms[c * 3 + 2];
}
