#include "batch_norm.h"
#include "bf16.h"

// Values lie as rows (the pixels of all images) x channels, two channels a word. Rows are cut into gridDim.y parts; a
// block takes the words of `lanes` neighbouring pairs of a part's rows, so that neighbouring threads read neighbouring
// words, and a block a channel then adds the parts.

// Pairs of channels that a block takes: a power of two, no more than a warp.
__device__ inline unsigned lanes_of(unsigned pairs) {
    unsigned lanes = 1;
    while (lanes < pairs && lanes < 32) lanes *= 2;
    return lanes;
}

// Sums of a thread's values, of either channel of its pair.
struct PairSums {
    double low[2] = {0, 0}, high[2] = {0, 0};

    __device__ void add(Pair a, Pair b) {
        low[0] += a.low;
        low[1] += b.low;
        high[0] += a.high;
        high[1] += b.high;
    }
};

// Calls `each(at)` for the places of this thread's words of the block's part, all of pair `pair`.
template <typename Each>
__device__ inline void each_of_rows(unsigned rows, unsigned pairs, unsigned pair, Each each) {
    const unsigned lanes = lanes_of(pairs), length = (rows + gridDim.y - 1) / gridDim.y;
    const unsigned begin = blockIdx.y * length, end = begin + length < rows ? begin + length : rows;
    for (unsigned row = begin + threadIdx.x / lanes; row < end; row += blockDim.x / lanes) each(row * pairs + pair);
}

// The sum of `value` over the block's threads of the same lane, for the first thread of each, in a fixed order.
__device__ inline double lane_sum(unsigned lanes, double value) {
    __shared__ double sums[THREADS];
    __syncthreads(); // an earlier sum has been read
    sums[threadIdx.x] = value;
    for (unsigned half = THREADS / 2; half >= lanes; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    return sums[threadIdx.x];
}

// Writes the part's sums of the pair's two channels: sums[channel][part] of 2.
__device__ inline void write_pair_sums(const PairSums &of_thread, unsigned pairs, unsigned pair, double *sums) {
    const unsigned lanes = lanes_of(pairs);
    for (unsigned which = 0; which < 2; which++) {
        const double low = lane_sum(lanes, of_thread.low[which]), high = lane_sum(lanes, of_thread.high[which]);
        if (threadIdx.x < lanes && pair < pairs) {
            sums[(2 * pair * gridDim.y + blockIdx.y) * 2 + which] = low;
            sums[((2 * pair + 1) * gridDim.y + blockIdx.y) * 2 + which] = high;
        }
    }
}

// The pair of channels that this thread adds up; beyond the last where the block has more lanes.
__device__ inline unsigned pair_of_thread(unsigned pairs) {
    const unsigned lanes = lanes_of(pairs);
    return blockIdx.x * lanes + threadIdx.x % lanes;
}

// Sums of x - origin and of its square; the origin is the channel's first value.
extern "C" __global__ void batch_norm_bf16_sums(unsigned batch, unsigned channels, unsigned plane, const unsigned *x,
                                                double *sums) {
    const unsigned pairs = channels / 2, pair = pair_of_thread(pairs);
    PairSums of_thread;
    if (pair < pairs) {
        const Pair origin = unpacked(x[pair]);
        each_of_rows(batch * plane, pairs, pair, [&](unsigned at) {
            const Pair value = unpacked(x[at]), d = {value.low - origin.low, value.high - origin.high};
            of_thread.add(d, {d.low * d.low, d.high * d.high});
        });
    }
    write_pair_sums(of_thread, pairs, pair, sums);
}
TWIN(batch_norm_bf16_sums)

// The channels' statistics.
extern "C" __global__ void batch_norm_bf16_statistics(unsigned batch, unsigned channels, unsigned plane,
                                                      unsigned parts, float epsilon, float momentum,
                                                      const unsigned *x, const double *sums, float *mean,
                                                      float *inv_std, float *running_mean, float *running_var) {
    for (unsigned c = blockIdx.x; c < channels; c += gridDim.x) {
        const Pair origins = unpacked(x[c / 2]);
        write_statistics(c, double(batch) * plane, parts, epsilon, momentum, c % 2 ? origins.high : origins.low, sums,
                         mean, inv_std, running_mean, running_var);
    }
}
TWIN(batch_norm_bf16_statistics)

// Both channels of a pair normalised.
__device__ inline Pair normalized_pair(Pair x, unsigned c, const float *mean, const float *inv_std,
                                       const float *scale, const float *shift) {
    return {normalized(x.low, c, mean, inv_std, scale, shift), normalized(x.high, c + 1, mean, inv_std, scale, shift)};
}

// y = act(normalized(x) + residual); no residual stands for 0.
extern "C" __global__ void batch_norm_bf16(unsigned batch, unsigned channels, unsigned plane, unsigned relu,
                                           const unsigned *x, const unsigned *residual, const float *mean,
                                           const float *inv_std, const float *scale, const float *shift, unsigned *y) {
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * plane * pairs; i += stride()) {
        Pair value = normalized_pair(unpacked(x[i]), i % pairs * 2, mean, inv_std, scale, shift);
        if (residual) {
            const Pair more = unpacked(residual[i]);
            value = {value.low + more.low, value.high + more.high};
        }
        y[i] = packed({activated(relu, value.low), activated(relu, value.high)});
    }
}
TWIN(batch_norm_bf16)

// dy of both channels as the activation let it through; an output that was not saved is computed once more.
__device__ inline Pair pair_let_through(unsigned i, unsigned c, unsigned relu, const unsigned *grad_y, Pair x,
                                        const unsigned *y, const float *mean, const float *inv_std,
                                        const float *scale, const float *shift) {
    const Pair dy = unpacked(grad_y[i]);
    const Pair output = y ? unpacked(y[i]) : normalized_pair(x, c, mean, inv_std, scale, shift);
    return {let_through(relu, output.low, dy.low), let_through(relu, output.high, dy.high)};
}

// Sums of dy and of dy (x - mean), with dy as the activation let it through.
extern "C" __global__ void batch_norm_bf16_gradient_sums(unsigned batch, unsigned channels, unsigned plane,
                                                         unsigned relu, const unsigned *grad_y, const unsigned *x,
                                                         const unsigned *y, const float *mean, const float *inv_std,
                                                         const float *scale, const float *shift, double *sums) {
    const unsigned pairs = channels / 2, pair = pair_of_thread(pairs), c = 2 * pair;
    PairSums of_thread;
    if (pair < pairs) {
        each_of_rows(batch * plane, pairs, pair, [&](unsigned at) {
            const Pair value = unpacked(x[at]);
            const Pair dy = pair_let_through(at, c, relu, grad_y, value, y, mean, inv_std, scale, shift);
            of_thread.add(dy, {dy.low * (value.low - mean[c]), dy.high * (value.high - mean[c + 1])});
        });
    }
    write_pair_sums(of_thread, pairs, pair, sums);
}
TWIN(batch_norm_bf16_gradient_sums)

// grad becomes dx; the residual's gradient, and the input's, are added where there are places for them.
extern "C" __global__ void batch_norm_bf16_gradient(unsigned batch, unsigned channels, unsigned plane, unsigned relu,
                                                    const unsigned *x, const unsigned *y, const float *mean,
                                                    const float *inv_std, const float *scale, const float *shift,
                                                    const float *terms, unsigned *grad, unsigned *grad_residual,
                                                    unsigned *grad_input) {
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * plane * pairs; i += stride()) {
        const unsigned c = i % pairs * 2;
        const Pair value = unpacked(x[i]);
        const Pair dy = pair_let_through(i, c, relu, grad, value, y, mean, inv_std, scale, shift);
        if (grad_residual) add_pair(&grad_residual[i], dy);
        const Pair dx = {input_gradient(c, dy.low, value.low, mean, terms),
                         input_gradient(c + 1, dy.high, value.high, mean, terms)};
        if (grad_input) add_pair(&grad_input[i], dx);
        grad[i] = packed(dx);
    }
}
TWIN(batch_norm_bf16_gradient)
