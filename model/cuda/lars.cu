#include "kernel.h"

// The squares of a block's share of the parameter, and of its gradient with the penalty. No gradient at all stands for
// zeros.
extern "C" __global__ void lars_squares(unsigned n, float weight_decay, const float *p, const float *g, double *sums) {
    double of_p = 0, of_g = 0;
    for (unsigned i = first(); i < n; i += stride()) {
        const float penalised = (g ? g[i] : 0.0f) + weight_decay * p[i];
        of_p += double(p[i]) * p[i];
        of_g += double(penalised) * penalised;
    }
    of_p = block_sum(of_p);
    of_g = block_sum(of_g);
    if (threadIdx.x == 0) {
        sums[2 * blockIdx.x] = of_p;
        sums[2 * blockIdx.x + 1] = of_g;
    }
}
TWIN(lars_squares)

// v = momentum v + r (g + weight_decay p), p = p - rate v, with r = trust |p| / |g + weight_decay p|, or 1 where a norm is
// 0. Every block adds the sums of all `parts`, in the same order.
extern "C" __global__ void lars(unsigned n, unsigned parts, float rate, float momentum, float weight_decay, float trust,
                                float *p, float *v, const float *g, const double *sums) {
    double of_p = 0, of_g = 0;
    for (unsigned i = threadIdx.x; i < parts; i += blockDim.x) {
        of_p += sums[2 * i];
        of_g += sums[2 * i + 1];
    }
    of_p = block_sum(of_p);
    of_g = block_sum(of_g);
    const float ratio = of_p > 0 && of_g > 0 ? float(trust * sqrt(of_p) / sqrt(of_g)) : 1.0f;
    for (unsigned i = first(); i < n; i += stride()) {
        const float gradient = g ? g[i] : 0.0f;
        v[i] = momentum * v[i] + ratio * (gradient + weight_decay * p[i]);
        p[i] -= rate * v[i];
    }
}
TWIN(lars)
