#include "kernel.h"

// Values lie as batch x channels x plane. A channel's values are counted image by image, and cut into gridDim.y parts
// of whole runs; block (channel, part) adds one up, and one thread a channel then adds the parts in order.

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

__device__ inline double sum_of_parts(const double *sums, unsigned channel, unsigned parts, unsigned which) {
    double sum = 0;
    for (unsigned part = 0; part < parts; part++) sum += sums[(channel * parts + part) * 2 + which];
    return sum;
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

// Mean and 1 / sqrt(var + epsilon) of each channel, and the running statistics a step towards them.
extern "C" __global__ void batch_norm_statistics(unsigned batch, unsigned channels, unsigned plane, unsigned parts,
                                                 float epsilon, float momentum, const float *x, const double *sums,
                                                 float *mean, float *inv_std, float *running_mean,
                                                 float *running_var) {
    const double count = double(batch) * plane;
    for (unsigned c = first(); c < channels; c += stride()) {
        const double shifted = sum_of_parts(sums, c, parts, 0) / count;
        const double var = fmax(sum_of_parts(sums, c, parts, 1) / count - shifted * shifted, 0.0);
        mean[c] = float(x[c * plane] + shifted);
        inv_std[c] = float(1.0 / sqrt(var + epsilon));
        running_mean[c] += momentum * (mean[c] - running_mean[c]);
        running_var[c] += momentum * (float(var * count / fmax(count - 1.0, 1.0)) - running_var[c]);
    }
}
TWIN(batch_norm_statistics)

extern "C" __global__ void inverse_std(unsigned channels, float epsilon, const float *var, float *inv_std) {
    for (unsigned c = first(); c < channels; c += stride()) inv_std[c] = float(1.0 / sqrt(double(var[c]) + epsilon));
}
TWIN(inverse_std)

// (x - mean) inv_std scale + shift; no scale and shift stand for 1 and 0.
__device__ inline float normalized(float x, unsigned c, const float *mean, const float *inv_std, const float *scale,
                                   const float *shift) {
    const float factor = scale ? scale[c] * inv_std[c] : inv_std[c];
    return (x - mean[c]) * factor + (shift ? shift[c] : 0.0f);
}

// y = act(normalized(x) + residual); no residual stands for 0.
extern "C" __global__ void batch_norm(unsigned n, unsigned channels, unsigned plane, unsigned relu, const float *x,
                                      const float *residual, const float *mean, const float *inv_std,
                                      const float *scale, const float *shift, float *y) {
    for (unsigned i = first(); i < n; i += stride()) {
        float value = normalized(x[i], i / plane % channels, mean, inv_std, scale, shift);
        if (residual) value += residual[i];
        y[i] = relu && value <= 0.0f ? 0.0f : value; // what is no number stays so
    }
}
TWIN(batch_norm)

// What the activation let through of grad_y[i]. With ReLU it is open where the output is above 0; without a saved
// output, that is computed once more from the input.
__device__ inline float passed(unsigned i, unsigned c, unsigned relu, const float *grad_y, const float *x,
                               const float *y, const float *mean, const float *inv_std, const float *scale,
                               const float *shift) {
    if (!relu) return grad_y[i];
    const float output = y ? y[i] : normalized(x[i], c, mean, inv_std, scale, shift);
    return output > 0.0f ? grad_y[i] : 0.0f;
}

// Sums of dy and of dy (x - mean), with dy as the activation let it through.
extern "C" __global__ void batch_norm_gradient_sums(unsigned batch, unsigned channels, unsigned plane, unsigned relu,
                                                    const float *grad_y, const float *x, const float *y,
                                                    const float *mean, const float *inv_std, const float *scale,
                                                    const float *shift, double *sums) {
    const unsigned c = blockIdx.x;
    double plain = 0, centred = 0;
    each_of_part(batch, channels, plane, [&](unsigned at) {
        const float dy = passed(at, c, relu, grad_y, x, y, mean, inv_std, scale, shift);
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
    for (unsigned c = first(); c < channels; c += stride()) {
        const double plain = sum_of_parts(sums, c, parts, 0), centred = sum_of_parts(sums, c, parts, 1);
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
extern "C" __global__ void batch_norm_gradient(unsigned n, unsigned channels, unsigned plane, unsigned relu,
                                               const float *x, const float *y, const float *mean,
                                               const float *inv_std, const float *scale, const float *shift,
                                               const float *terms, float *grad, float *grad_residual,
                                               float *grad_input) {
    for (unsigned i = first(); i < n; i += stride()) {
        const unsigned c = i / plane % channels;
        const float dy = passed(i, c, relu, grad, x, y, mean, inv_std, scale, shift);
        if (grad_residual) grad_residual[i] += dy;
        const float dx = terms[c * 3] * dy + terms[c * 3 + 1] * (x[i] - mean[c]) + terms[c * 3 + 2];
        if (grad_input) grad_input[i] += dx;
        grad[i] = dx;
    }
}
TWIN(batch_norm_gradient)
