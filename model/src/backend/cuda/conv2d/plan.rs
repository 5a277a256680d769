use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::mem::MaybeUninit;

use super::{CudaError, CudnnError, Descriptors, Format, HashMap, Precision, Problem, Runtime, cudnn, sys};

/// What is computed: the output, or one of the two gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Forward,
    Data,
    Filter,
}

/// The way found for each shape and direction.
#[derive(Default)]
pub(in crate::backend::cuda) struct Plans {
    found: HashMap<(Direction, Problem, Precision), Plan>,
}

/// A way to compute one direction of one shape.
pub(super) struct Plan {
    descriptors: Descriptors,
    algorithm: Algorithm,
    /// Bytes that it needs.
    pub(super) workspace: usize,
}

enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

impl Plans {
    pub(super) fn get(
        &mut self,
        runtime: &Runtime,
        direction: Direction,
        problem: &Problem,
    ) -> Result<&Plan, CudaError> {
        let precision = runtime.precision();
        match self.found.entry((direction, *problem, precision)) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let plan = Plan::find(runtime.cudnn, precision, direction, problem);
                let plan = plan.map_err(|error| problem.failed(direction, error))?;
                Ok(place.insert(plan))
            }
        }
    }
}

/// Calls one of cuDNN's finders, which time each algorithm on memory of their own, and takes the fastest that works in
/// [`WORKSPACE`], or else the fastest, in single precision where that is asked for: its algorithm, arithmetic and memory.
macro_rules! fastest {
    ($find:ident($($argument:expr),*), $perf:ty, $math:ident) => {{
        /// More than cuDNN has algorithms for one direction.
        const MOST: usize = 16;
        let mut tried = [const { MaybeUninit::<$perf>::uninit() }; MOST];
        let mut count = 0;
        // SAFETY: handle and descriptors are complete, and at most so many results are written.
        unsafe { sys::$find($($argument,)* MOST as i32, &mut count, tried.as_mut_ptr().cast()) }.result()?;
        // SAFETY: the first `count` are written.
        let tried = tried[..count as usize].iter().map(|perf| unsafe { perf.assume_init_ref() });
        let mut usable = tried.clone().filter(|perf| {
            perf.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                && ($math != sys::cudnnMathType_t::CUDNN_FMA_MATH || perf.mathType == $math)
        });
        let fastest = usable.clone().find(|perf| perf.memory <= WORKSPACE).or_else(|| usable.next());
        match fastest {
            Some(perf) => (perf.algo, perf.mathType, perf.memory),
            None => return Err(CudnnError(why_none(tried.map(|perf| perf.status)))),
        }
    }};
}

/// What cuDNN says of algorithms none of which worked: what went wrong with the first that there is.
fn why_none(statuses: impl Iterator<Item = sys::cudnnStatus_t>) -> sys::cudnnStatus_t {
    use sys::cudnnStatus_t::{CUDNN_STATUS_NOT_SUPPORTED, CUDNN_STATUS_SUCCESS};
    let first = CUDNN_STATUS_NOT_SUPPORTED as u32;
    let there_is_none = |status: u32| (first..first + 1000).contains(&status);
    let mut failures =
        statuses.filter(|status| *status != CUDNN_STATUS_SUCCESS && !there_is_none(*status as u32));
    failures.next().unwrap_or(CUDNN_STATUS_NOT_SUPPORTED)
}

/// Memory that an algorithm should not exceed.
const WORKSPACE: usize = 1 << 30;

impl Plan {
    fn find(
        cudnn: sys::cudnnHandle_t,
        precision: Precision,
        direction: Direction,
        problem: &Problem,
    ) -> Result<Self, CudnnError> {
        use sys::cudnnMathType_t::{CUDNN_DEFAULT_MATH, CUDNN_FMA_MATH, CUDNN_TENSOR_OP_MATH};
        let descriptors = Descriptors::new(problem)?;
        let Descriptors { x, weight, y, convolution } = descriptors;
        let math = match (problem.format, precision) {
            (Format::Bf16, _) => CUDNN_TENSOR_OP_MATH,
            // The default lets single precision become TF32.
            (Format::F32, Precision::Tf32 | Precision::Bf16) => CUDNN_DEFAULT_MATH,
            (Format::F32, Precision::F32) => CUDNN_FMA_MATH,
        };
        // SAFETY: the descriptor was created above.
        unsafe { cudnn::set_convolution_math_type(convolution, math)? };
        let (algorithm, math, workspace) = match direction {
            Direction::Forward => {
                let (algorithm, math, memory) = fastest!(
                    cudnnFindConvolutionForwardAlgorithm(cudnn, x, weight, convolution, y),
                    sys::cudnnConvolutionFwdAlgoPerf_t,
                    math
                );
                (Algorithm::Forward(algorithm), math, memory)
            }
            Direction::Data => {
                let (algorithm, math, memory) = fastest!(
                    cudnnFindConvolutionBackwardDataAlgorithm(cudnn, weight, y, convolution, x),
                    sys::cudnnConvolutionBwdDataAlgoPerf_t,
                    math
                );
                (Algorithm::Data(algorithm), math, memory)
            }
            Direction::Filter => {
                let (algorithm, math, memory) = fastest!(
                    cudnnFindConvolutionBackwardFilterAlgorithm(cudnn, x, y, convolution, weight),
                    sys::cudnnConvolutionBwdFilterAlgoPerf_t,
                    math
                );
                (Algorithm::Filter(algorithm), math, memory)
            }
        };
        // SAFETY: the descriptor was created above.
        unsafe { cudnn::set_convolution_math_type(convolution, math)? };
        Ok(Self { descriptors, algorithm, workspace })
    }

    /// `to = alpha result + beta to`, from the operands in cuDNN's order: x and weight, weight and dy, or x and dy.
    ///
    /// # Safety
    /// Operands have the plan's shapes and are on the device, as is a workspace of the plan's size.
    pub(super) unsafe fn run(
        &self,
        cudnn: sys::cudnnHandle_t,
        (alpha, beta): (*const c_void, *const c_void),
        [a, b]: [*const c_void; 2],
        to: *mut c_void,
        workspace: *mut c_void,
    ) -> Result<(), CudnnError> {
        let Self { descriptors: Descriptors { x, weight, y, convolution }, workspace: bytes, .. } = *self;
        // SAFETY: the caller promises it.
        unsafe {
            match self.algorithm {
                Algorithm::Forward(algorithm) => cudnn::convolution_forward(
                    cudnn,
                    alpha,
                    x,
                    a,
                    weight,
                    b,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    beta,
                    y,
                    to,
                ),
                Algorithm::Data(algorithm) => cudnn::convolution_backward_data(
                    cudnn,
                    alpha,
                    weight,
                    a,
                    y,
                    b,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    beta,
                    x,
                    to,
                ),
                Algorithm::Filter(algorithm) => cudnn::convolution_backward_filter(
                    cudnn,
                    alpha,
                    x,
                    a,
                    y,
                    b,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    beta,
                    weight,
                    to,
                ),
            }
        }
    }
}
