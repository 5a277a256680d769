#include "bf16.h"

// Sizes of a pooling of square planes: the window of output (row, column) begins at (row, column) * step - pad.
struct Pool {
    unsigned in, out, kernel, step, pad;
};

// Calls `each(place)` for the places of a window, row by row.
template <typename Each>
__device__ inline void each_place(const Pool &g, unsigned window, Each each) {
    const int top = int(window / g.out * g.step) - int(g.pad), left = int(window % g.out * g.step) - int(g.pad);
    for (int row = top < 0 ? 0 : top; row < top + int(g.kernel) && row < int(g.in); row++)
        for (int column = left < 0 ? 0 : left; column < left + int(g.kernel) && column < int(g.in); column++)
            each(row * g.in + column);
}

// The largest value so far and its place; the first of equals, and NaN before all.
struct Largest {
    unsigned place = 0;
    float value = -INFINITY;
    bool found = false;

    __device__ void see(unsigned at, float candidate) {
        if (!found || candidate > value || candidate != candidate) {
            found = true;
            value = candidate;
            place = at;
        }
    }
};

__device__ inline Largest largest(const Pool &g, unsigned window, const float *plane) {
    Largest of_window;
    each_place(g, window, [&](unsigned place) { of_window.see(place, plane[place]); });
    return of_window;
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
        y[i] = largest(g, i % (out * out), plane).value;
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
            if (largest(g, window, plane).place == place) sum += grad_y[p * (out * out) + window];
        });
        grad_x[i] += sum;
    }
}
TWIN(max_pool_gradient)

// A pair of channels of bf16 images, batch x place x channels.
struct PairOfPlanes {
    const unsigned *words;
    unsigned pairs;

    __device__ PairOfPlanes(const unsigned *of, unsigned image, unsigned places, unsigned pairs, unsigned pair)
        : words(of + image * places * pairs + pair), pairs(pairs) {}

    __device__ Pair at(unsigned place) const { return unpacked(words[place * pairs]); }
};

// The largest values of both channels.
struct LargestPair {
    Largest low, high;
};

__device__ inline LargestPair largest(const Pool &g, unsigned window, const PairOfPlanes &planes) {
    LargestPair of_window;
    each_place(g, window, [&](unsigned place) {
        const Pair value = planes.at(place);
        of_window.low.see(place, value.low);
        of_window.high.see(place, value.high);
    });
    return of_window;
}

extern "C" __global__ void max_pool_bf16(unsigned batch, unsigned channels, unsigned in, unsigned out,
                                         unsigned kernel, unsigned step, unsigned pad, const unsigned *x,
                                         unsigned *y) {
    const Pool g = {in, out, kernel, step, pad};
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * out * out * pairs; i += stride()) {
        const unsigned window = i / pairs;
        const PairOfPlanes planes(x, window / (out * out), in * in, pairs, i % pairs);
        const LargestPair found = largest(g, window % (out * out), planes);
        y[i] = packed({found.low.value, found.high.value});
    }
}
TWIN(max_pool_bf16)

extern "C" __global__ void max_pool_bf16_gradient(unsigned batch, unsigned channels, unsigned in, unsigned out,
                                                  unsigned kernel, unsigned step, unsigned pad, const unsigned *x,
                                                  const unsigned *grad_y, unsigned *grad_x) {
    const Pool g = {in, out, kernel, step, pad};
    const unsigned pairs = channels / 2;
    for (unsigned i = first(); i < batch * in * in * pairs; i += stride()) {
        const unsigned image = i / pairs / (in * in), place = i / pairs % (in * in), pair = i % pairs;
        const PairOfPlanes planes(x, image, in * in, pairs, pair), gradients(grad_y, image, out * out, pairs, pair);
        Pair sum = {0.0f, 0.0f};
        each_window(g, place, [&](unsigned window) {
            const LargestPair found = largest(g, window, planes);
            const Pair grad = gradients.at(window);
            if (found.low.place == place) sum.low += grad.low;
            if (found.high.place == place) sum.high += grad.high;
        });
        add_pair(&grad_x[i], sum);
    }
}
TWIN(max_pool_bf16_gradient)
