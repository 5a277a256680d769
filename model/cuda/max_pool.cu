#include "kernel.h"

// Sizes of a pooling of square planes: the window of output (row, column) begins at (row, column) * step - pad.
struct Pool {
    unsigned in, out, kernel, step, pad;
};

// The place in the plane `x` of the largest value of a window; the first of equals, and NaN before all.
__device__ inline unsigned largest(const Pool &g, const float *x, unsigned window) {
    const int top = int(window / g.out * g.step) - int(g.pad), left = int(window % g.out * g.step) - int(g.pad);
    unsigned place = 0;
    float value = -INFINITY;
    bool found = false;
    for (int row = top < 0 ? 0 : top; row < top + int(g.kernel) && row < int(g.in); row++) {
        for (int column = left < 0 ? 0 : left; column < left + int(g.kernel) && column < int(g.in); column++) {
            const float candidate = x[row * g.in + column];
            if (!found || candidate > value || candidate != candidate) {
                found = true;
                value = candidate;
                place = row * g.in + column;
            }
        }
    }
    return place;
}

extern "C" __global__ void max_pool(unsigned planes, unsigned in, unsigned out, unsigned kernel, unsigned step,
                                    unsigned pad, const float *x, float *y) {
    const Pool g = {in, out, kernel, step, pad};
    for (unsigned i = first(); i < planes * out * out; i += stride()) {
        const float *plane = x + i / (out * out) * (in * in);
        y[i] = plane[largest(g, plane, i % (out * out))];
    }
}
TWIN(max_pool)

// grad_x += grad_y of the windows whose largest value this is. A thread looks at all windows over one input, so that
// nothing is added by two threads.
extern "C" __global__ void max_pool_gradient(unsigned planes, unsigned in, unsigned out, unsigned kernel,
                                             unsigned step, unsigned pad, const float *x, const float *grad_y,
                                             float *grad_x) {
    const Pool g = {in, out, kernel, step, pad};
    for (unsigned i = first(); i < planes * in * in; i += stride()) {
        const unsigned p = i / (in * in), place = i % (in * in);
        const unsigned row = place / in + pad, column = place % in + pad; // among the padding
        float sum = 0.0f;
        for (unsigned r = row < kernel ? 0 : (row - kernel) / step + 1; r <= row / step && r < out; r++) {
            for (unsigned c = column < kernel ? 0 : (column - kernel) / step + 1; c <= column / step && c < out; c++) {
                const unsigned window = r * out + c;
                if (largest(g, x + p * (in * in), window) == place) sum += grad_y[p * (out * out) + window];
            }
        }
        grad_x[i] += sum;
    }
}
TWIN(max_pool_gradient)
