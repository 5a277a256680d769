#include "kernel.h"

// Least norm that a vector is divided by.
constexpr double MIN_NORM = 1e-8;

struct Products {
    double dot, p_norm, z_norm;
};

__device__ inline Products products(const float *p, const float *z, unsigned width) {
    double dot = 0, pp = 0, zz = 0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
        dot += double(p[i]) * z[i];
        pp += double(p[i]) * p[i];
        zz += double(z[i]) * z[i];
    }
    const double p_norm = sqrt(block_sum(pp)), z_norm = sqrt(block_sum(zz));
    return {block_sum(dot), fmax(p_norm, MIN_NORM), fmax(z_norm, MIN_NORM)};
}

// The cosine of each pair of rows; a block takes one pair.
extern "C" __global__ void cosines(unsigned width, const float *p, const float *z, float *cosines) {
    const unsigned row = blockIdx.x;
    const Products of = products(p + row * width, z + row * width, width);
    if (threadIdx.x == 0) cosines[row] = float(of.dot / (of.p_norm * of.z_norm));
}
TWIN(cosines)

// loss = -mean of the cosines, by one block.
extern "C" __global__ void negative_mean(unsigned n, const float *cosines, float *loss) {
    double sum = 0;
    for (unsigned i = threadIdx.x; i < n; i += blockDim.x) sum += cosines[i];
    const double total = block_sum(sum);
    if (threadIdx.x == 0) *loss = float(-total / n);
}
TWIN(negative_mean)

// grad_p += d loss / dp grad_loss, with d cos / dp = z / (|p| |z|) - cos p / |p|^2; a clamped norm is a constant, so it
// has no second term. A block takes one row of `rows`.
extern "C" __global__ void negative_cosine_gradient(unsigned rows, unsigned width, const float *p, const float *z,
                                                    const float *grad_loss, float *grad_p) {
    const unsigned start = blockIdx.x * width;
    const Products of = products(p + start, z + start, width);
    const double towards = -double(*grad_loss) / rows / (of.p_norm * of.z_norm);
    const double along = of.p_norm > MIN_NORM ? towards * of.dot / (of.p_norm * of.p_norm) : 0.0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
        grad_p[start + i] += float(towards * z[start + i] - along * p[start + i]);
    }
}
TWIN(negative_cosine_gradient)
