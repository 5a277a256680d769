#include "kernel.h"

// out[i] = table[rows[i]], n rows of `width` values.
extern "C" __global__ void gather_rows(unsigned n, unsigned width, const unsigned long long *rows, const float *table,
                                       float *out) {
    for (unsigned i = first(); i < n * width; i += stride()) {
        out[i] = table[rows[i / width] * width + i % width];
    }
}
TWIN(gather_rows)

// table[rows[i]] = values[i]; of a row that is named twice, the later value stays.
extern "C" __global__ void scatter_rows(unsigned n, unsigned width, const unsigned long long *rows,
                                        const float *values, float *table) {
    for (unsigned i = first(); i < n * width; i += stride()) {
        bool is_last = true;
        for (unsigned later = i / width + 1; later < n; later++) is_last &= rows[later] != rows[i / width];
        if (is_last) table[rows[i / width] * width + i % width] = values[i];
    }
}
TWIN(scatter_rows)
