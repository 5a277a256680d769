//! The convolutions: `libcudnn.so.9`.

mod convolution;

use convolution::{Convolution, Direction, Run, Tensor};

use crate::driver::Handle;
use crate::memory::Address;
use crate::{Status, call};

const SUCCESS: Status = 0;
const BAD_PARAM: Status = 2000;
const NOT_SUPPORTED: Status = 3000;

/// Formats, types and kinds of arithmetic.
const NCHW: i32 = 0;
const NHWC: i32 = 1;
const FLOAT: i32 = 0;
const BFLOAT16: i32 = 9;
const CROSS_CORRELATION: i32 = 1;
const DEFAULT_MATH: i32 = 0;
const FMA_MATH: i32 = 3;

/// The algorithms that the finders know, the memory that each needs, and whether it can add in single precision alone.
const ALGORITHMS: [(i32, usize, bool); 3] = [(3, 1 << 17, false), (1, 1 << 16, true), (0, 0, true)];

/// One of cuDNN's results of trying an algorithm.
#[repr(C)]
struct Performance {
    algorithm: i32,
    status: Status,
    ms: f32,
    memory: usize,
    determinism: i32,
    math: i32,
    reserved: [i32; 3],
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetVersion() -> usize {
    91300
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnCreate(handle: *mut Handle) -> Status {
    call("cudnnCreate", |_| {
        *handle = 1;
        Ok(SUCCESS)
    })
}

macro_rules! create {
    ($($name:ident: $type:ty;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(descriptor: *mut *mut $type) -> Status {
            *descriptor = Box::into_raw(Box::default());
            SUCCESS
        }
    )*};
}

create! {
    cudnnCreateTensorDescriptor: Tensor;
    cudnnCreateFilterDescriptor: Tensor;
    cudnnCreateConvolutionDescriptor: Convolution;
}

/// A descriptor's content, if it is one that is simulated.
unsafe fn set(tensor: *mut Tensor, format: i32, ty: i32, sizes: [i32; 4]) -> Status {
    let known = [(NCHW, FLOAT), (NHWC, BFLOAT16)].contains(&(format, ty));
    if !known || sizes.iter().any(|size| *size < 1) {
        return BAD_PARAM;
    }
    *tensor = Tensor { format, ty, sizes: sizes.map(|size| size as usize) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnSetTensor4dDescriptor(
    tensor: *mut Tensor,
    format: i32,
    ty: i32,
    n: i32,
    c: i32,
    h: i32,
    w: i32,
) -> Status {
    set(tensor, format, ty, [n, c, h, w])
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnSetFilter4dDescriptor(
    filter: *mut Tensor,
    ty: i32,
    format: i32,
    k: i32,
    c: i32,
    h: i32,
    w: i32,
) -> Status {
    set(filter, format, ty, [k, c, h, w])
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnSetConvolution2dDescriptor(
    convolution: *mut Convolution,
    pad_y: i32,
    pad_x: i32,
    stride_y: i32,
    stride_x: i32,
    dilation_y: i32,
    dilation_x: i32,
    mode: i32,
    sums: i32,
) -> Status {
    if [dilation_y, dilation_x, mode, sums] != [1, 1, CROSS_CORRELATION, FLOAT] {
        return BAD_PARAM;
    }
    let sizes = |sizes: [i32; 2]| sizes.map(|size| size as usize);
    let (pad, stride) = (sizes([pad_y, pad_x]), sizes([stride_y, stride_x]));
    *convolution = Convolution { pad, stride, ..Convolution::default() };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnSetConvolutionMathType(convolution: *mut Convolution, math: i32) -> Status {
    (*convolution).math = math;
    SUCCESS
}

/// Writes what the finders say: each algorithm, and one that does not work.
unsafe fn find(
    (x, weight, y): (*const Tensor, *const Tensor, *const Tensor),
    convolution: *const Convolution,
    most: i32,
    (count, results): (*mut i32, *mut Performance),
) -> Status {
    call("cudnnFindConvolution", |driver| {
        // They wait for what was asked for before.
        driver.wait_for_all("cudnnFindConvolution")?;
        if !(*convolution).fits(&*x, &*weight, &*y) {
            return Ok(BAD_PARAM);
        }
        let asked = (*convolution).math;
        let result = |algorithm, status, ms, memory, math| Performance {
            algorithm,
            status,
            ms,
            memory,
            determinism: 1,
            math,
            reserved: [0; 3],
        };
        let works = ALGORITHMS.iter().map(|(algorithm, memory, is_exact)| {
            let math = if asked == FMA_MATH && !is_exact { DEFAULT_MATH } else { asked };
            result(*algorithm, SUCCESS, 0.1, *memory, math)
        });
        let all: Vec<_> =
            works.chain([result(6, NOT_SUPPORTED, -1.0, 0, asked)]).take(most as usize).collect();
        *count = all.len() as i32;
        for (i, found) in all.into_iter().enumerate() {
            results.add(i).write(found);
        }
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnFindConvolutionForwardAlgorithm(
    _handle: Handle,
    x: *const Tensor,
    weight: *const Tensor,
    convolution: *const Convolution,
    y: *const Tensor,
    most: i32,
    count: *mut i32,
    results: *mut Performance,
) -> Status {
    find((x, weight, y), convolution, most, (count, results))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnFindConvolutionBackwardDataAlgorithm(
    _handle: Handle,
    weight: *const Tensor,
    y: *const Tensor,
    convolution: *const Convolution,
    x: *const Tensor,
    most: i32,
    count: *mut i32,
    results: *mut Performance,
) -> Status {
    find((x, weight, y), convolution, most, (count, results))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnFindConvolutionBackwardFilterAlgorithm(
    _handle: Handle,
    x: *const Tensor,
    y: *const Tensor,
    convolution: *const Convolution,
    weight: *const Tensor,
    most: i32,
    count: *mut i32,
    results: *mut Performance,
) -> Status {
    find((x, weight, y), convolution, most, (count, results))
}

/// A tensor as an argument: its descriptor and where its values are.
type Argument = (*const Tensor, Address);

unsafe fn run(
    direction: Direction,
    (x, weight, y): (Argument, Argument, Argument),
    convolution: *const Convolution,
    (alpha, beta): (*const f32, *const f32),
    algorithm: i32,
    workspace: (Address, usize),
) -> Status {
    call("cudnnConvolution", |driver| {
        let tensor = |(tensor, address): Argument| (*tensor, address);
        let (x, weight, y) = (tensor(x), tensor(weight), tensor(y));
        if !(*convolution).fits(&x.0, &weight.0, &y.0) {
            return Ok(BAD_PARAM);
        }
        match ALGORITHMS.iter().find(|(known, ..)| *known == algorithm) {
            Some((_, needed, _)) if workspace.1 < *needed => return Ok(BAD_PARAM),
            Some((.., is_exact)) if *is_exact || (*convolution).math != FMA_MATH => {}
            _ => return Ok(NOT_SUPPORTED),
        }
        let (convolution, alpha, beta) = (*convolution, *alpha, *beta);
        let run = Run { direction, convolution, x, weight, y, alpha, beta, workspace };
        driver.ask(0, move |memory| run.run(memory))?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnConvolutionForward(
    _handle: Handle,
    alpha: *const f32,
    x: *const Tensor,
    x_values: Address,
    weight: *const Tensor,
    weight_values: Address,
    convolution: *const Convolution,
    algorithm: i32,
    workspace: Address,
    workspace_bytes: usize,
    beta: *const f32,
    y: *const Tensor,
    y_values: Address,
) -> Status {
    let tensors = ((x, x_values), (weight, weight_values), (y, y_values));
    let workspace = (workspace, workspace_bytes);
    run(Direction::Forward, tensors, convolution, (alpha, beta), algorithm, workspace)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnConvolutionBackwardData(
    _handle: Handle,
    alpha: *const f32,
    weight: *const Tensor,
    weight_values: Address,
    y: *const Tensor,
    y_values: Address,
    convolution: *const Convolution,
    algorithm: i32,
    workspace: Address,
    workspace_bytes: usize,
    beta: *const f32,
    x: *const Tensor,
    x_values: Address,
) -> Status {
    let tensors = ((x, x_values), (weight, weight_values), (y, y_values));
    let workspace = (workspace, workspace_bytes);
    run(Direction::Data, tensors, convolution, (alpha, beta), algorithm, workspace)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnConvolutionBackwardFilter(
    _handle: Handle,
    alpha: *const f32,
    x: *const Tensor,
    x_values: Address,
    y: *const Tensor,
    y_values: Address,
    convolution: *const Convolution,
    algorithm: i32,
    workspace: Address,
    workspace_bytes: usize,
    beta: *const f32,
    weight: *const Tensor,
    weight_values: Address,
) -> Status {
    let tensors = ((x, x_values), (weight, weight_values), (y, y_values));
    let workspace = (workspace, workspace_bytes);
    run(Direction::Filter, tensors, convolution, (alpha, beta), algorithm, workspace)
}
