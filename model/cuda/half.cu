#include "bf16.h"

// Between single precision, batch x channels x plane, and bf16, batch x plane x channels in words of two; an odd last
// channel has a partner of 0. Filters are such a batch, and so is a matrix: one pixel with a channel for each value.

// half = single, or half += single.
extern "C" __global__ void half_of_single(unsigned batch, unsigned channels, unsigned plane, unsigned add,
                                          const float *single, unsigned *half) {
    const unsigned pairs = (channels + 1) / 2;
    for (unsigned i = first(); i < batch * plane * pairs; i += stride()) {
        const unsigned pixel = i / pairs, c = i % pairs * 2;
        const float *low = single + (pixel / plane * channels + c) * plane + pixel % plane;
        const Pair before = add ? unpacked(half[i]) : Pair{0.0f, 0.0f};
        half[i] = packed(before.low + *low, c + 1 < channels ? before.high + low[plane] : 0.0f);
    }
}
TWIN(half_of_single)

// single = half, or single += half.
extern "C" __global__ void single_of_half(unsigned batch, unsigned channels, unsigned plane, unsigned add,
                                          const unsigned *half, float *single) {
    const unsigned pairs = (channels + 1) / 2;
    for (unsigned i = first(); i < batch * channels * plane; i += stride()) {
        const unsigned image = i / (channels * plane), c = i / plane % channels;
        const Pair value = unpacked(half[(image * plane + i % plane) * pairs + c / 2]);
        single[i] = (add ? single[i] : 0.0f) + (c % 2 ? value.high : value.low);
    }
}
TWIN(single_of_half)
