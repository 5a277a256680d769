//! Shape-checked SimSiam on dfdx: layers, encoders, objectives and kernels.
