//! The convolutions: `libcudnn.so.9`.

use std::ops::Range;

use crate::cublas::tf32;
use crate::driver::Handle;
use crate::memory::{Address, Fault, Memory};
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

/// Images or filters: their sizes are batch or outputs, channels, height and width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tensor {
    format: i32,
    ty: i32,
    sizes: [usize; 4],
}

#[derive(Clone, Copy, Debug, Default)]
struct Convolution {
    pad: [usize; 2],
    stride: [usize; 2],
    math: i32,
}

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

impl Tensor {
    fn len(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Where a value lies.
    fn at(&self, [n, c, y, x]: [usize; 4]) -> usize {
        let [_, channels, height, width] = self.sizes;
        match self.format {
            NHWC => ((n * height + y) * width + x) * channels + c,
            _ => ((n * channels + c) * height + y) * width + x,
        }
    }

    /// Where each value lies, in the order of NCHW.
    fn places(&self) -> impl Iterator<Item = usize> {
        let [n, c, h, w] = self.sizes;
        (0..n * c * h * w).map(move |i| self.at([i / (c * h * w), i / (h * w) % c, i / w % h, i % w]))
    }

    /// The values, in the order of NCHW.
    fn read(&self, memory: &Memory, address: Address) -> Result<Vec<f32>, Fault> {
        let stored = match self.ty {
            BFLOAT16 => memory.halves(address, self.len())?,
            _ => memory.floats(address, self.len())?,
        };
        Ok(self.places().map(|at| stored[at]).collect())
    }

    fn write(&self, memory: &mut Memory, address: Address, values: &[f32]) -> Result<(), Fault> {
        let mut stored = vec![0.0; values.len()];
        self.places().zip(values).for_each(|(at, value)| stored[at] = *value);
        match self.ty {
            BFLOAT16 => memory.write_halves(address, &stored),
            _ => memory.write_floats(address, &stored),
        }
    }
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
enum Direction {
    Forward,
    Data,
    Filter,
}

/// `result = alpha result + beta before`.
struct Run {
    direction: Direction,
    convolution: Convolution,
    x: (Tensor, Address),
    weight: (Tensor, Address),
    y: (Tensor, Address),
    alpha: f32,
    beta: f32,
    workspace: (Address, usize),
}

impl Convolution {
    /// The output's sizes.
    fn output(&self, x: &Tensor, weight: &Tensor) -> [usize; 4] {
        let size = |i: usize| {
            let beyond = (x.sizes[2 + i] + 2 * self.pad[i]).checked_sub(weight.sizes[2 + i]);
            beyond.map_or(0, |beyond| beyond / self.stride[i] + 1)
        };
        [x.sizes[0], weight.sizes[0], size(0), size(1)]
    }

    fn fits(&self, x: &Tensor, weight: &Tensor, y: &Tensor) -> bool {
        let alike = [weight, y].iter().all(|other| (other.format, other.ty) == (x.format, x.ty));
        alike && x.sizes[1] == weight.sizes[1] && self.output(x, weight) == y.sizes
    }

    /// Outputs of an axis whose input at a filter's place is inside.
    fn inside(&self, axis: usize, tap: usize, input: usize, outputs: usize) -> Range<usize> {
        let (pad, stride) = (self.pad[axis], self.stride[axis]);
        let from = pad.saturating_sub(tap).div_ceil(stride);
        // The last output's input is below the input's size.
        let to = (input + pad).checked_sub(tap + 1).map_or(0, |last| last / stride + 1);
        from..to.min(outputs).max(from)
    }
}

impl Run {
    fn run(self, memory: &mut Memory) -> Result<(), Fault> {
        memory.forget(self.workspace.0, self.workspace.1)?;
        let rounded = |mut values: Vec<f32>| {
            if self.x.0.ty == FLOAT && self.convolution.math != FMA_MATH {
                values.iter_mut().for_each(|value| *value = tf32(*value));
            }
            values
        };
        let read = |(tensor, address): (Tensor, Address)| tensor.read(memory, address).map(rounded);
        let zeros = |(tensor, _): (Tensor, Address)| vec![0.0; tensor.len()];
        let (to, mut values) = match self.direction {
            Direction::Forward => {
                let (x, weight, mut y) = (read(self.x)?, read(self.weight)?, zeros(self.y));
                self.rows(|tap, from, stride, to| match stride {
                    1 => add(y[to].iter_mut(), weight[tap], x[from..].iter()),
                    _ => add(y[to].iter_mut(), weight[tap], x[from..].iter().step_by(stride)),
                });
                (self.y, y)
            }
            Direction::Data => {
                let (mut x, weight, y) = (zeros(self.x), read(self.weight)?, read(self.y)?);
                self.rows(|tap, from, stride, to| match stride {
                    1 => add(x[from..].iter_mut(), weight[tap], y[to].iter()),
                    _ => add(x[from..].iter_mut().step_by(stride), weight[tap], y[to].iter()),
                });
                (self.x, x)
            }
            Direction::Filter => {
                let (x, mut weight, y) = (read(self.x)?, zeros(self.weight), read(self.y)?);
                self.rows(|tap, from, stride, to| {
                    let to = &y[to];
                    weight[tap] +=
                        to.iter().zip(x[from..].iter().step_by(stride)).map(|(y, x)| y * x).sum::<f32>();
                });
                (self.weight, weight)
            }
        };
        values.iter_mut().for_each(|value| *value *= self.alpha);
        if self.beta != 0.0 {
            let before = to.0.read(memory, to.1)?;
            values.iter_mut().zip(before).for_each(|(value, before)| *value += self.beta * before);
        }
        to.0.write(memory, to.1, &values)
    }

    /// Calls with a filter's place, the first input of a row and the inputs' distance, and the row's outputs.
    fn rows(&self, mut row: impl FnMut(usize, usize, usize, Range<usize>)) {
        let Self { convolution, x: (x, _), weight: (weight, _), y: (y, _), .. } = self;
        let [batch, in_channels, height, width] = x.sizes;
        let [_, out_channels, out_height, out_width] = y.sizes;
        let [_, _, kernel_height, kernel_width] = weight.sizes;
        let [stride_y, stride_x] = convolution.stride;
        for n in 0..batch {
            for (o, i) in (0..out_channels).flat_map(|o| (0..in_channels).map(move |i| (o, i))) {
                for (ky, kx) in (0..kernel_height).flat_map(|ky| (0..kernel_width).map(move |kx| (ky, kx))) {
                    let tap = ((o * in_channels + i) * kernel_height + ky) * kernel_width + kx;
                    let columns = convolution.inside(1, kx, width, out_width);
                    if columns.is_empty() {
                        continue;
                    }
                    let in_x = columns.start * stride_x + kx - convolution.pad[1];
                    for out_y in convolution.inside(0, ky, height, out_height) {
                        let in_y = out_y * stride_y + ky - convolution.pad[0];
                        let from = ((n * in_channels + i) * height + in_y) * width + in_x;
                        let to = ((n * out_channels + o) * out_height + out_y) * out_width;
                        row(tap, from, stride_x, to + columns.start..to + columns.end);
                    }
                }
            }
        }
    }
}

/// Adds so many times some values; written for each way of stepping, so that the compiler makes vectors of the usual one.
fn add<'a, 'b>(to: impl Iterator<Item = &'a mut f32>, factor: f32, from: impl Iterator<Item = &'b f32>) {
    to.zip(from).for_each(|(to, from)| *to += factor * from);
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
        driver.finish_all()?;
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
