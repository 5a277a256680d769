#include "kernel.h"

// values[i] = levels[channel of i][pixels[i]]: n pixels of images of three planes.
extern "C" __global__ void normalise(unsigned n, unsigned plane, const float *levels, const unsigned char *pixels,
                                     float *values) {
    for (unsigned i = first(); i < n; i += stride()) values[i] = levels[i / plane % 3 * 256 + pixels[i]];
}
TWIN(normalise)
