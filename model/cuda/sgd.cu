#include "kernel.h"

// v = momentum v + (g + weight_decay p), p = p - rate v. No gradient at all stands for zeros.
extern "C" __global__ void sgd(unsigned n, float rate, float momentum, float weight_decay, float *p, float *v,
                               const float *g) {
    for (unsigned i = first(); i < n; i += stride()) {
        const float gradient = g ? g[i] : 0.0f;
        v[i] = momentum * v[i] + (gradient + weight_decay * p[i]);
        p[i] -= rate * v[i];
    }
}
TWIN(sgd)
