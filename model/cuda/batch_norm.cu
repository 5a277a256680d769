#include "batch_norm.h"

// Values lie as batch x channels x plane. A channel's values are counted image by image, and cut into gridDim.y parts
// of whole runs; block (channel, part) adds one up, and a block a channel then adds the parts.

// Calls `each(at)` for the places of this thread's values of the block's part of its channel.
template <typename Each>
__device__ inline void each_of_part(unsigned batch, unsigned channels, unsigned plane, Each each) {
    const unsigned count = batch * plane, length = (count + gridDim.y - 1) / gridDim.y;
    const unsigned begin = blockIdx.y * length, end = begin + length < count ? begin + length : count;
    for (unsigned i = begin + threadIdx.x; i < end; i += blockDim.x) {
        each((i / plane * channels + blockIdx.x) * plane + i % plane);
    }
}

// Writes the part's two sums: sums[channel][part] of 2.
__device__ inline void write_sums(double a, double b, double *sums) {
    const double total_a = block_sum(a), total_b = block_sum(b);
    if (threadIdx.x == 0) {
        double *to = sums + (blockIdx.x * gridDim.y + blockIdx.y) * 2;
        to[0] = total_a;
        to[1] = total_b;
    }
}

// Sums of x - origin and of its square; the origin is the channel's first value, so that a large mean costs no digits.
extern "C" __global__ void batch_norm_sums(unsigned batch, unsigned channels, unsigned plane, const float *x,
                                           double *sums) {
    const float origin = x[blockIdx.x * plane];
    double sum = 0, squares = 0;
    each_of_part(batch, channels, plane, [&](unsigned at) {
        const double difference = double(x[at]) - origin;
        sum += difference;
        squares += difference * difference;
    });
    write_sums(sum, squares, sums);
}
TWIN(batch_norm_sums)

// The channels' statistics.
extern "C" __global__ void batch_norm_statistics(unsigned batch, unsigned channels, unsigned plane, unsigned parts,
                                                 float epsilon, float momentum, const float *x, const double *sums,
                                                 float *mean, float *inv_std, float *running_mean,
                                                 float *running_var) {
    for (unsigned c = blockIdx.x; c < channels; c += gridDim.x) {
        write_statistics(c, double(batch) * plane, parts, epsilon, momentum, x[c * plane], sums, mean, inv_std,
                         running_mean, running_var);
    }
}
TWIN(batch_norm_statistics)

extern "C" __global__ void inverse_std(unsigned channels, float epsilon, const float *var, float *inv_std) {
    for (unsigned c = first(); c < channels; c += stride()) inv_std[c] = float(1.0 / sqrt(double(var[c]) + epsilon));
}
TWIN(inverse_std)

// y = act(normalized(x) + residual); no residual stands for 0.
extern "C" __global__ void batch_norm(unsigned batch, unsigned channels, unsigned plane, unsigned relu,
                                      const float *x, const float *residual, const float *mean, const float *inv_std,
                                      const float *scale, const float *shift, float *y) {
    for (unsigned i = first(); i < batch * channels * plane; i += stride()) {
        float value = normalized(x[i], i / plane % channels, mean, inv_std, scale, shift);
        if (residual) value += residual[i];
        y[i] = activated(relu, value);
    }
}
TWIN(batch_norm)

// The output, which is computed once more where none was saved.
__device__ inline float output(unsigned i, unsigned c, const float *x, const float *y, const float *mean,
                               const float *inv_std, const float *scale, const float *shift) {
    return y ? y[i] : normalized(x[i], c, mean, inv_std, scale, shift);
}

// Sums of dy and of dy (x - mean), with dy as the activation let it through.
extern "C" __global__ void batch_norm_gradient_sums(unsigned batch, unsigned channels, unsigned plane, unsigned relu,
                                                    const float *grad_y, const float *x, const float *y,
                                                    const float *mean, const float *inv_std, const float *scale,
                                                    const float *shift, double *sums) {
    const unsigned c = blockIdx.x;
    double plain = 0, centred = 0;
    each_of_part(batch, channels, plane, [&](unsigned at) {
        const float dy = let_through(relu, output(at, c, x, y, mean, inv_std, scale, shift), grad_y[at]);
        plain += dy;
        centred += double(dy) * (double(x[at]) - mean[c]);
    });
    write_sums(plain, centred, sums);
}
TWIN(batch_norm_gradient_sums)

// With x' = (x - mean) inv_std: dx = scale inv_std (dy - sum(dy) / m - x' sum(dy x') / m), written as
// dx = factor dy + slope (x - mean) + offset: terms[channel] of 3. The gradients of scale and shift are added.
extern "C" __global__ void batch_norm_gradient_terms(unsigned batch, unsigned channels, unsigned plane,
                                                     unsigned parts, const double *sums, const float *inv_std,
                                                     const float *scale, float *terms, float *grad_scale,
                                                     float *grad_shift) {
    const double count = double(batch) * plane;
    for (unsigned c = blockIdx.x; c < channels; c += gridDim.x) {
        const double plain = sum_of_parts(sums, c, parts, 0), centred = sum_of_parts(sums, c, parts, 1);
        if (threadIdx.x != 0) continue;
        const double factor = double(inv_std[c]) * (scale ? scale[c] : 1.0f);
        terms[c * 3] = float(factor);
        terms[c * 3 + 1] = float(-factor * inv_std[c] * inv_std[c] * centred / count);
        terms[c * 3 + 2] = float(-factor * plain / count);
        if (grad_scale) grad_scale[c] += float(centred * inv_std[c]);
        if (grad_shift) grad_shift[c] += float(plain);
    }
}
TWIN(batch_norm_gradient_terms)

// grad becomes dx; the residual's gradient, and the input's, are added where there are places for them.
extern "C" __global__ void batch_norm_gradient(unsigned batch, unsigned channels, unsigned plane, unsigned relu,
                                               const float *x, const float *y, const float *mean,
                                               const float *inv_std, const float *scale, const float *shift,
                                               const float *terms, float *grad, float *grad_residual,
                                               float *grad_input) {
    for (unsigned i = first(); i < batch * channels * plane; i += stride()) {
        const unsigned c = i / plane % channels;
        const float dy = let_through(relu, output(i, c, x, y, mean, inv_std, scale, shift), grad[i]);
        if (grad_residual) grad_residual[i] += dy;
        const float dx = input_gradient(c, dy, x[i], mean, terms);
        if (grad_input) grad_input[i] += dx;
        grad[i] = dx;
    }
}
TWIN(batch_norm_gradient)
