#include "kernel.h"

// m = m + first (g - m), s = s + second (g^2 - s), p = keep p - rate m / (sqrt(s) / root + epsilon). No gradient at all
// stands for zeros.
extern "C" __global__ void adamw(unsigned n, float keep, float to_first, float to_second, float rate, float root,
                                 float epsilon, float *p, float *m, float *s, const float *g) {
    for (unsigned i = first(); i < n; i += stride()) {
        const float gradient = g ? g[i] : 0.0f;
        m[i] += to_first * (gradient - m[i]);
        s[i] += to_second * (gradient * gradient - s[i]);
        p[i] = keep * p[i] - rate * (m[i] / (sqrtf(s[i]) / root + epsilon));
    }
}
TWIN(adamw)
