//! PTX, NVIDIA's machine-independent code: what the driver would compile, read and run here.

mod alu;
mod parse;
mod run;

use crate::memory::Fault;

pub use run::Launch;

/// The text of a module and where its kernels are in it.
pub struct Module {
    text: &'static str,
}

/// A kernel, ready to run.
pub struct Kernel {
    pub name: String,
    /// Offset and size of each parameter.
    pub parameters: Vec<(usize, usize)>,
    instructions: Vec<Instruction>,
    /// The line of each, for messages.
    lines: Vec<&'static str>,
    registers: usize,
    /// Registers with values that are the same in all threads.
    constants: Vec<(u32, u64)>,
    specials: Vec<(u32, Special)>,
    shared: usize,
}

/// What a thread knows of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Special {
    Thread(usize),
    Block(usize),
    Threads(usize),
    Blocks(usize),
}

/// Destination and sources: numbers of registers. What a source names that is no register is in a register of its own.
type Operands = [u32; 4];

/// Threads that run an instruction together.
const LANES: usize = 32;

/// A register of all lanes.
type Register = [u64; LANES];

/// A bit for each lane.
type Mask = u32;

/// An instruction on registers alone, in the lanes of the mask.
type Compute = fn(&mut [Register], &Operands, Mask);

/// Where an instruction is skipped: in lanes whose register is the value.
type Unless = Option<(u32, u64)>;

struct Instruction {
    unless: Unless,
    operation: Operation,
}

enum Operation {
    Compute(Compute, Operands),
    Load {
        space: Space,
        width: usize,
        to: u32,
        address: u32,
        offset: u64,
        extend: Option<Compute>,
    },
    Store {
        space: Space,
        width: usize,
        from: u32,
        address: u32,
        offset: u64,
    },
    /// Makes another value of one in memory, atomically.
    Reduce {
        compute: Compute,
        width: usize,
        old: u32,
        new: u32,
        address: u32,
        offset: u64,
        value: u32,
    },
    Branch(usize),
    Barrier,
    Return,
    /// A failed assertion.
    Trap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Global,
    Shared,
    Parameter,
}

impl Module {
    /// Of the text that `cuModuleLoadData` was given, which stays loaded.
    pub fn new(text: String) -> Self {
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        Self { text: lines.collect::<Vec<_>>().join("\n").leak() }
    }

    pub fn has(&self, kernel: &str) -> bool {
        parse::entry(self.text, kernel).is_some()
    }

    pub fn kernel(&self, name: &str) -> Result<Kernel, Fault> {
        parse::kernel(self.text, name).map_err(|Fault(text)| Fault(format!("kernel {name}: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::Memory;
    use crate::streams::Order;

    /// Adds up 64 values of a block's threads through its memory: thread 0 waits for all and writes the sum.
    const SUM: &str = r"
.version 9.0
.shared .align 4 .b8 sums[256]; // one a thread
.visible .entry sum(
	.param .u32 sum_param_0,
	.param .u64 sum_param_1
)
{
	.reg .pred %p<3>;
	.reg .f32 %f<4>;
	.reg .b32 %r<7>;
	.reg .b64 %rd<3>;
	ld.param.u32 	%r1, [sum_param_0];
	ld.param.u64 	%rd1, [sum_param_1];
	cvta.to.global.u64 	%rd2, %rd1;
	mov.u32 	%r2, %tid.x;
	mov.u32 	%r3, sums;
	shl.b32 	%r4, %r2, 2;
	add.s32 	%r5, %r3, %r4;
	cvt.rn.f32.u32 	%f1, %r2;
	st.shared.f32 	[%r5], %f1;
	BARRIER
	setp.ne.s32 	%p1, %r2, 0;
	@%p1 bra 	$L__BB0_3;
	mov.f32 	%f2, 0f00000000;
	mov.u32 	%r6, 0;
$L__BB0_2:
	ld.shared.f32 	%f3, [%r3];
	add.f32 	%f2, %f2, %f3;
	add.s32 	%r3, %r3, 4;
	add.s32 	%r6, %r6, 1;
	setp.lt.u32 	%p2, %r6, %r1;
	@%p2 bra 	$L__BB0_2;
	st.global.f32 	[%rd2], %f2;
$L__BB0_3:
	ret;
}
";

    fn sum(text: &str, count: u32, order: Order) -> Result<f32, Fault> {
        let mut memory = Memory::new(1 << 20);
        let address = memory.reserve(4).unwrap();
        memory.begin(address);
        let kernel = Arc::new(Module::new(text.to_owned()).kernel("sum")?);
        assert_eq!(kernel.parameters, [(0, 4), (8, 8)]);
        let mut arguments = count.to_le_bytes().to_vec();
        arguments.resize(8, 0);
        arguments.extend(address.to_le_bytes());
        let launch = Launch { kernel, blocks: [1; 3], threads: [64, 1, 1], arguments, order };
        launch.run(&mut memory)?;
        Ok(memory.floats(address, 1)?[0])
    }

    #[test]
    fn threads_meet_at_barriers() {
        let with = SUM.replace("BARRIER", "bar.sync 	0;");
        for order in [Order::Early, Order::Late] {
            assert_eq!(sum(&with, 64, order).unwrap(), 2016.0);
        }
        let Fault(text) = sum(&with, 65, Order::Early).unwrap_err();
        assert!(text.contains("thread [0, 0, 0]") && text.contains("byte 256 of the block's 256"), "{text}");
        let Fault(text) = sum(&SUM.replace("BARRIER", ""), 64, Order::Early).unwrap_err();
        assert!(text.contains("`ld.shared.f32 	%f3, [%r3]`: another thread writes this value"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let Fault(text) = sum(&SUM.replace("BARRIER", "vote.all 	%p1, %p2;"), 64, Order::Early).unwrap_err();
        assert!(text.starts_with("kernel sum: `vote.all"), "{text}");
    }
}
