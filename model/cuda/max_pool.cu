#include "bf16.h"

// Sizes of a pooling of square planes: the window of output (row, column) begins at (row, column) * step - pad.
struct Pool {
    unsigned in, out, kernel, step, pad;
};

// The place of the largest value of a window of a plane, whose values `at(place)` gives; the first of equals, and NaN
// before all.
template <typename At>
__device__ inline unsigned largest(const Pool &g, unsigned window, At at) {
    const int top = int(window / g.out * g.step) - int(g.pad), left = int(window % g.out * g.step) - int(g.pad);
    unsigned place = 0;
    float value = -INFINITY;
    bool found = false;
    for (int row = top < 0 ? 0 : top; row < top + int(g.kernel) && row < int(g.in); row++) {
        for (int column = left < 0 ? 0 : left; column < left + int(g.kernel) && column < int(g.in); column++) {
            const float candidate = at(row * g.in + column);
            if (!found || candidate > value || candidate != candidate) {
                found = true;
                value = candidate;
                place = row * g.in + column;
            }
        }
    }
    return place;
}

// The first of a row of windows that reaches a place, counted among the padding.
__device__ inline unsigned first_window(const Pool &g, unsigned at) {
    return at < g.kernel ? 0 : (at - g.kernel) / g.step + 1;
}

// Calls `each(window)` for the windows over a place.
template <typename Each>
__device__ inline void each_window(const Pool &g, unsigned place, Each each) {
    const unsigned row = place / g.in + g.pad, column = place % g.in + g.pad;
    for (unsigned r = first_window(g, row); r <= row / g.step && r < g.out; r++)
        for (unsigned c = first_window(g, column); c <= column / g.step && c < g.out; c++) each(r * g.out + c);
}

extern "C" __global__ void max_pool(unsigned batch, unsigned channels, unsigned in, unsigned out, unsigned kernel,
                                    unsigned step, unsigned pad, const float *x, float *y) {
    const Pool g = {in, out, kernel, step, pad};
    for (unsigned i = first(); i < batch * channels * out * out; i += stride()) {
        const float *plane = x + i / (out * out) * (in * in);
        y[i] = plane[largest(g, i % (out * out), [&](unsigned place) { return plane[place]; })];
    }
}
TWIN(max_pool)

// grad_x += grad_y of the windows whose largest value this is. A thread looks at all windows over one input, so that
// nothing is added by two threads.
extern "C" __global__ void max_pool_gradient(unsigned batch, unsigned channels, unsigned in, unsigned out,
                                             unsigned kernel, unsigned step, unsigned pad, const float *x,
                                             const float *grad_y, float *grad_x) {
    const Pool g = {in, out, kernel, step, pad};
    for (unsigned i = first(); i < batch * channels * in * in; i += stride()) {
        const unsigned p = i / (in * in), place = i % (in * in);
        const float *plane = x + p * (in * in);
        float sum = 0.0f;
        each_window(g, place, [&](unsigned window) {
            const unsigned of = largest(g, window, [&](unsigned other) { return plane[other]; });
            if (of == place) sum += grad_y[p * (out * out) + window];
        });
        grad_x[i] += sum;
    }
}
TWIN(max_pool_gradient)

// A plane of bf16 images, batch x place x channels.
struct HalfPlane {
    const unsigned *x;
    unsigned pairs;

    __device__ HalfPlane(const unsigned *of, unsigned image, unsigned places, unsigned pairs, unsigned pair)
        : x(of + image * places * pairs + pair), pairs(pairs) {}

    __device__ Pair at(unsigned place) const { return unpacked(x[place * pairs]); }

    __device__ unsigned largest_low(const Pool &g, unsigned window) const {
        return largest(g, window, [&](unsigned place) { return at(place).low; });
    }

    __device__ unsigned largest_high(const Pool &g, unsigned window) const {
        return largest(g, window, [&](unsigned place) { return at(place).high; });
    }
};

extern "C" __global__ void max_pool_half(unsigned batch, unsigned channels, unsigned in, unsigned out,
                                         unsigned kernel, unsigned step, unsigned pad, const unsigned *x,
                                         unsigned *y) {
    const Pool g = {in, out, kernel, step, pad};
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * out * out * pairs; i += stride()) {
        const unsigned window = i / pairs;
        const HalfPlane plane(x, window / (out * out), in * in, pairs, i % pairs);
        const unsigned low = plane.largest_low(g, window % (out * out));
        const unsigned high = plane.largest_high(g, window % (out * out));
        y[i] = packed(plane.at(low).low, plane.at(high).high);
    }
}
TWIN(max_pool_half)

extern "C" __global__ void max_pool_half_gradient(unsigned batch, unsigned channels, unsigned in, unsigned out,
                                                  unsigned kernel, unsigned step, unsigned pad, const unsigned *x,
                                                  const unsigned *grad_y, unsigned *grad_x) {
    const Pool g = {in, out, kernel, step, pad};
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * in * in * pairs; i += stride()) {
        const unsigned image = i / pairs / (in * in), place = i / pairs % (in * in), pair = i % pairs;
        const HalfPlane plane(x, image, in * in, pairs, pair), gradient(grad_y, image, out * out, pairs, pair);
        Pair sum = {0.0f, 0.0f};
        each_window(g, place, [&](unsigned window) {
            const Pair grad = gradient.at(window);
            if (plane.largest_low(g, window) == place) sum.low += grad.low;
            if (plane.largest_high(g, window) == place) sum.high += grad.high;
        });
        add_pair(&grad_x[i], sum);
    }
}
TWIN(max_pool_half_gradient)
