// bf16 in words of two: the first of a pair is in the low half.
#pragma once

#include "kernel.h"

struct Pair {
    float low, high;
};

__device__ inline float of_bits(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

__device__ inline Pair unpacked(unsigned word) { return {of_bits(word << 16), of_bits(word & 0xffff0000u)}; }

// Rounded to the nearest, to an even last bit in the middle; what is no number stays so.
__device__ inline unsigned bf16_bits(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return bits >> 16 | 0x40u;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

__device__ inline unsigned packed(Pair pair) { return bf16_bits(pair.low) | bf16_bits(pair.high) << 16; }

__device__ inline void add_pair(unsigned *to, Pair more) {
    const Pair value = unpacked(*to);
    *to = packed({value.low + more.low, value.high + more.high});
}
