#include "bf16.h"

// Between single precision, batch x channels x plane, and bf16, batch x plane x channels in words of two; an odd last
// channel has a partner of 0. Filters are such a batch, and so is a matrix: one pixel with a channel for each value.

// words = values, or words += values.
extern "C" __global__ void bf16_of_f32(unsigned batch, unsigned channels, unsigned plane, unsigned add,
                                       const float *values, unsigned *words) {
    const unsigned pairs = (channels + 1) / 2;
    for (unsigned i = first(); i < batch * plane * pairs; i += stride()) {
        const unsigned pixel = i / pairs, c = i % pairs * 2;
        const float *low = values + (pixel / plane * channels + c) * plane + pixel % plane;
        const Pair value = {*low, c + 1 < channels ? low[plane] : 0.0f};
        if (add) {
            add_pair(&words[i], value);
        } else {
            words[i] = packed(value);
        }
    }
}
TWIN(bf16_of_f32)

// values = words, or values += words.
extern "C" __global__ void f32_of_bf16(unsigned batch, unsigned channels, unsigned plane, unsigned add,
                                       const unsigned *words, float *values) {
    const unsigned pairs = (channels + 1) / 2;
    for (unsigned i = first(); i < batch * channels * plane; i += stride()) {
        const unsigned image = i / (channels * plane), c = i / plane % channels;
        const Pair pair = unpacked(words[(image * plane + i % plane) * pairs + c / 2]);
        const float value = c % 2 ? pair.high : pair.low;
        values[i] = add ? values[i] + value : value;
    }
}
TWIN(f32_of_bf16)
