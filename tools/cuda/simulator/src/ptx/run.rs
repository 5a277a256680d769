//! Runs a kernel: a block's warps in turn, each up to the next barrier, a warp's threads together as far as their ways are
//! the same.

use std::ops::Range;
use std::sync::Arc;

use super::{Instruction, Kernel, LANES, Mask, Operation, Register, Space, Special};
use crate::memory::{Fault, Memory};
use crate::races::{ATOMIC, Races, Thread};
use crate::streams::Order;

/// A kernel with its arguments, to run.
pub struct Launch {
    pub kernel: Arc<Kernel>,
    pub blocks: [u32; 3],
    pub threads: [u32; 3],
    pub arguments: Vec<u8>,
    /// Whether first warps and blocks come first or last.
    pub order: Order,
}

/// Threads of a block.
struct Warp {
    registers: Vec<Register>,
    /// Where each lane is.
    at: [usize; LANES],
    /// Lanes that have not ended.
    live: Mask,
    /// The number of the first lane's thread in the block, and in the launch.
    first: Thread,
    first_in_launch: Thread,
}

/// A block at work.
struct Block<'a> {
    launch: &'a Launch,
    memory: &'a mut Memory,
    shared: Vec<u8>,
    /// Bytes of the block's memory that were written.
    shared_written: Vec<bool>,
    /// Between the block's threads, from one barrier to the next.
    shared_races: Races,
}

/// What is wrong, with which lanes.
struct LaneFault(Mask, Fault);

impl Launch {
    pub fn run(&self, memory: &mut Memory) -> Result<(), Fault> {
        let mut blocks: Vec<[u32; 3]> = places(self.blocks).collect();
        if self.order == Order::Late {
            blocks.reverse();
        }
        let shared = self.kernel.shared;
        memory.launch();
        let mut block = Block {
            launch: self,
            memory,
            shared: vec![0; shared],
            shared_written: vec![false; shared],
            shared_races: Races::new(shared),
        };
        blocks.into_iter().try_for_each(|place| {
            block.shared_written.fill(false);
            block.run(place)
        })
    }
}

/// All places of a grid.
fn places([x, y, z]: [u32; 3]) -> impl Iterator<Item = [u32; 3]> {
    (0..z).flat_map(move |k| (0..y).flat_map(move |j| (0..x).map(move |i| [i, j, k])))
}

/// The lanes of a mask.
fn lanes(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask.checked_sub(1)?;
        Some(lane)
    })
}

/// The lanes in which something is so.
fn where_so(is_so: impl Fn(usize) -> bool) -> Mask {
    (0..LANES).fold(0, |mask, lane| mask | Mask::from(is_so(lane)) << lane)
}

impl Warp {
    /// At the kernel's beginning.
    fn new(launch: &Launch, block: [u32; 3], first: Thread, threads: &[[u32; 3]]) -> Self {
        let Launch { kernel, blocks, threads: block_threads, .. } = launch;
        let block_number = (block[2] * blocks[1] + block[1]) * blocks[0] + block[0];
        // What is read before it is written is NaN, or no place.
        let mut registers = vec![[u64::MAX; LANES]; kernel.registers.max(1)];
        for (register, bits) in &kernel.constants {
            registers[*register as usize] = [*bits; LANES];
        }
        for (register, special) in &kernel.specials {
            for (to, thread) in registers[*register as usize].iter_mut().zip(threads) {
                *to = u64::from(match *special {
                    Special::Thread(axis) => thread[axis],
                    Special::Block(axis) => block[axis],
                    Special::Threads(axis) => block_threads[axis],
                    Special::Blocks(axis) => blocks[axis],
                });
            }
        }
        Self {
            registers,
            at: [0; LANES],
            live: Mask::MAX >> (LANES - threads.len()),
            first,
            first_in_launch: block_number * block_threads.iter().product::<u32>() + first,
        }
    }
}

impl Block<'_> {
    fn run(&mut self, block: [u32; 3]) -> Result<(), Fault> {
        let threads: Vec<[u32; 3]> = places(self.launch.threads).collect();
        let numbered = threads.chunks(LANES).zip((0..).step_by(LANES));
        let warp = |(threads, first)| (threads, Warp::new(self.launch, block, first, threads));
        let mut warps: Vec<_> = numbered.map(warp).collect();
        if self.launch.order == Order::Late {
            warps.reverse();
        }
        while warps.iter().any(|(_, warp)| warp.live != 0) {
            let mut barrier = None;
            self.shared_races.next();
            for (threads, warp) in &mut warps {
                self.run_warp(warp)
                    .and_then(|()| {
                        let differs = |lane: &usize| *barrier.get_or_insert(warp.at[*lane]) != warp.at[*lane];
                        match lanes(warp.live).find(differs) {
                            Some(lane) => Err(LaneFault(
                                1 << lane,
                                Fault("another thread waits at another barrier".into()),
                            )),
                            None => Ok(()),
                        }
                    })
                    .map_err(|LaneFault(mask, Fault(text))| {
                        let (lane, kernel) = (mask.trailing_zeros() as usize, &self.launch.kernel);
                        let line = kernel.lines.get(warp.at[lane]).unwrap_or(&"");
                        Fault(format!(
                            "kernel {}, block {block:?} of {:?}, thread {:?} of {:?}: `{line}`: {text}",
                            kernel.name, self.launch.blocks, threads[lane], self.launch.threads
                        ))
                    })?;
                // All that still live wait, and go on behind the barrier. Those that have ended are not waited for: dfdx's sums
                // count on it.
                warp.at.iter_mut().for_each(|at| *at += 1);
            }
        }
        Ok(())
    }

    /// Runs a warp until its threads wait at a barrier or have ended. The threads that are least far go first, so that ways
    /// that part meet again.
    fn run_warp(&mut self, warp: &mut Warp) -> Result<(), LaneFault> {
        let mut waiting: Mask = 0;
        while warp.live & !waiting != 0 {
            let runnable = warp.live & !waiting;
            let pc = lanes(runnable).map(|lane| warp.at[lane]).min().expect("there is one");
            let active = runnable & where_so(|lane| warp.at[lane] == pc);
            let others = lanes(runnable & !active).map(|lane| warp.at[lane]).min().unwrap_or(usize::MAX);
            waiting |= self.run_together(warp, active, pc, others)?;
        }
        Ok(())
    }

    /// Runs lanes from one place until they part, end, come to a barrier or to the others' place; gives those that wait at a
    /// barrier.
    fn run_together(
        &mut self,
        warp: &mut Warp,
        active: Mask,
        mut pc: usize,
        others: usize,
    ) -> Result<Mask, LaneFault> {
        let kernel = &self.launch.kernel;
        let put = |warp: &mut Warp, mask: Mask, pc: usize| lanes(mask).for_each(|lane| warp.at[lane] = pc);
        while pc < others {
            let Some(Instruction { unless, operation }) = kernel.instructions.get(pc) else {
                warp.live &= !active;
                return Ok(0);
            };
            let mask = match unless {
                Some((register, skipped)) => {
                    let register = &warp.registers[*register as usize];
                    active & where_so(|lane| register[lane] != *skipped)
                }
                None => active,
            };
            let result = match operation {
                Operation::Compute(compute, operands) => {
                    compute(&mut warp.registers, operands, mask);
                    Ok(())
                }
                Operation::Branch(to) => {
                    if mask == active {
                        pc = *to;
                        continue;
                    }
                    if mask != 0 {
                        put(warp, mask, *to);
                        put(warp, active & !mask, pc + 1);
                        return Ok(0);
                    }
                    Ok(())
                }
                Operation::Barrier => {
                    put(warp, mask, pc);
                    put(warp, active & !mask, pc + 1);
                    return Ok(mask);
                }
                Operation::Return => {
                    warp.live &= !mask;
                    put(warp, active & !mask, pc + 1);
                    return Ok(0);
                }
                access => self.access(access, warp, mask),
            };
            if let Err(LaneFault(mask, fault)) = result {
                put(warp, active, pc);
                return Err(LaneFault(mask, fault));
            }
            pc += 1;
        }
        put(warp, active, pc);
        Ok(0)
    }

    /// What needs memory, a lane after another.
    fn access(&mut self, operation: &Operation, warp: &mut Warp, mask: Mask) -> Result<(), LaneFault> {
        let Warp { registers, first, first_in_launch, .. } = warp;
        for lane in lanes(mask) {
            let at = |register: &u32, offset: &u64| registers[*register as usize][lane].wrapping_add(*offset);
            let thread = |space: &Space| {
                lane as Thread + if *space == Space::Global { *first_in_launch } else { *first }
            };
            let done = match operation {
                Operation::Load { space, width, to, address, offset, .. } => self
                    .load(*space, *width, at(address, offset), thread(space))
                    .map(|bits| registers[*to as usize][lane] = bits),
                Operation::Store { space, width, from, address, offset } => {
                    let bits = registers[*from as usize][lane];
                    self.store(*space, *width, at(address, offset), thread(space), bits)
                }
                Operation::Reduce { compute, width, old, new, address, offset, value } => {
                    let address = at(address, offset);
                    self.load(Space::Global, *width, address, ATOMIC).and_then(|before| {
                        registers[*old as usize][lane] = before;
                        compute(registers, &[*new, *old, *value, 0], 1 << lane);
                        self.store(Space::Global, *width, address, ATOMIC, registers[*new as usize][lane])
                    })
                }
                _ => Fault::new("an assertion failed"),
            };
            done.map_err(|fault| LaneFault(1 << lane, fault))?;
        }
        if let Operation::Load { to, extend: Some(extend), .. } = operation {
            extend(registers, &[*to, *to, 0, 0], mask);
        }
        Ok(())
    }

    fn load(&mut self, space: Space, width: usize, address: u64, thread: Thread) -> Result<u64, Fault> {
        match space {
            Space::Global => Ok(match width {
                1 => u64::from(self.memory.load::<1>(address, thread)?[0]),
                2 => u64::from(u16::from_le_bytes(self.memory.load(address, thread)?)),
                4 => u64::from(u32::from_le_bytes(self.memory.load(address, thread)?)),
                _ => u64::from_le_bytes(self.memory.load(address, thread)?),
            }),
            Space::Shared => {
                let range = self.shared_range(width, address)?;
                if !self.shared_written[range.clone()].iter().all(|written| *written) {
                    return Fault::new(format!("the block's byte {address} is read before it is written"));
                }
                range.clone().try_for_each(|byte| self.shared_races.read(byte, thread))?;
                Ok(number(&self.shared[range]))
            }
            Space::Parameter => {
                let at = address as usize;
                self.launch
                    .arguments
                    .get(at..at + width)
                    .map(number)
                    .ok_or_else(|| Fault("no such argument".into()))
            }
        }
    }

    fn store(
        &mut self,
        space: Space,
        width: usize,
        address: u64,
        thread: Thread,
        bits: u64,
    ) -> Result<(), Fault> {
        let bytes = bits.to_le_bytes();
        match (space, width) {
            (Space::Global, 1) => self.memory.store(address, thread, [bytes[0]]),
            (Space::Global, 2) => self.memory.store(address, thread, [bytes[0], bytes[1]]),
            (Space::Global, 4) => self.memory.store(address, thread, (bits as u32).to_le_bytes()),
            (Space::Global, _) => self.memory.store(address, thread, bytes),
            (Space::Shared, _) => {
                let range = self.shared_range(width, address)?;
                range.clone().try_for_each(|byte| self.shared_races.write(byte, thread))?;
                self.shared_written[range.clone()].fill(true);
                self.shared[range].copy_from_slice(&bytes[..width]);
                Ok(())
            }
            (Space::Parameter, _) => Fault::new("an argument cannot be written"),
        }
    }

    fn shared_range(&self, width: usize, address: u64) -> Result<Range<usize>, Fault> {
        let at = address as usize;
        if at.checked_add(width).is_none_or(|end| end > self.shared.len()) || !at.is_multiple_of(width) {
            return Fault::new(format!("byte {address} of the block's {} is no place", self.shared.len()));
        }
        Ok(at..at + width)
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}
