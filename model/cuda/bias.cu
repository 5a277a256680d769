#include "kernel.h"

// y[row] = bias, for each of `rows` rows of `width` values.
extern "C" __global__ void bias_rows(unsigned rows, unsigned width, const float *bias, float *y) {
    for (unsigned i = first(); i < rows * width; i += stride()) y[i] = bias[i % width];
}
TWIN(bias_rows)

// grad += sum over the rows of grad_y; a thread adds up one column, in order.
extern "C" __global__ void bias_gradient(unsigned rows, unsigned width, const float *grad_y, float *grad) {
    for (unsigned column = first(); column < width; column += stride()) {
        float sum = 0.0f;
        for (unsigned row = 0; row < rows; row++) sum += grad_y[row * width + column];
        grad[column] += sum;
    }
}
TWIN(bias_gradient)
