//! Reads a kernel's text, as nvcc writes it.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Instruction, Kernel, Operands, Operation, Space, Special, Unless, alu};
use crate::memory::Fault;

/// What is behind a kernel's name, in a module.
pub(super) fn entry(module: &'static str, name: &str) -> Option<&'static str> {
    let declared = |(at, _): (usize, _)| {
        let behind = module[at + ".entry".len()..].trim_start().strip_prefix(name)?;
        behind.trim_start().starts_with('(').then_some(behind)
    };
    module.match_indices(".entry").find_map(declared)
}

/// Reads one kernel.
pub(super) fn kernel(module: &'static str, name: &str) -> Result<Kernel, Fault> {
    let Some(behind) = entry(module, name) else { return Fault::new("there is none of this name") };
    let (parameters, behind) = behind.split_once('{').ok_or_else(|| Fault("it has no body".into()))?;
    let mut reader = Reader::new(module);
    reader.read_parameters(parameters)?;
    for statement in body(behind).split(';') {
        reader.read_statement(statement)?;
    }
    reader.finish(name)
}

/// The text up to the brace that closes it.
fn body(text: &'static str) -> &'static str {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate() {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

struct Reader {
    module: &'static str,
    instructions: Vec<Instruction>,
    lines: Vec<&'static str>,
    /// Branches and where they go to, once all labels are known.
    branches: Vec<(usize, &'static str)>,
    labels: HashMap<&'static str, usize>,
    registers: HashMap<&'static str, u32>,
    /// What declared registers' names begin with.
    declared: Vec<&'static str>,
    constants: HashMap<u64, u32>,
    specials: HashMap<Special, u32>,
    next_register: u32,
    parameters: Vec<(usize, usize)>,
    parameter_names: HashMap<&'static str, u64>,
    shared_names: HashMap<&'static str, u64>,
    shared: u64,
}

impl Reader {
    fn new(module: &'static str) -> Self {
        Self {
            module,
            instructions: Vec::new(),
            lines: Vec::new(),
            branches: Vec::new(),
            labels: HashMap::new(),
            registers: HashMap::new(),
            declared: Vec::new(),
            constants: HashMap::new(),
            specials: HashMap::new(),
            next_register: 0,
            parameters: Vec::new(),
            parameter_names: HashMap::new(),
            shared_names: HashMap::new(),
            shared: 0,
        }
    }

    /// `.param .u64 name` or `.param .align 8 .b8 name[24]`, between commas.
    fn read_parameters(&mut self, text: &'static str) -> Result<(), Fault> {
        let list = text.trim().trim_start_matches('(');
        let list = list.split_once(')').map_or(list, |(list, _)| list);
        let mut end = 0;
        for parameter in list.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()) {
            let (name, size, align) = declaration(parameter)?;
            let at = usize::next_multiple_of(end, align);
            self.parameter_names.insert(name, at as u64);
            self.parameters.push((at, size));
            end = at + size;
        }
        Ok(())
    }

    fn read_statement(&mut self, text: &'static str) -> Result<(), Fault> {
        let mut text = text.trim();
        // Braces of call sequences, and labels.
        loop {
            if let Some(rest) = text.strip_prefix(['{', '}']) {
                text = rest.trim_start();
            } else if let Some((label, rest)) = text.split_once(':')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || "$_".contains(c))
            {
                self.labels.insert(label, self.instructions.len());
                text = rest.trim_start();
            } else {
                break;
            }
        }
        if let Some(declaration) = text.strip_prefix(".reg") {
            let names =
                declaration.split_whitespace().skip(1).map(|name| name.split('<').next().unwrap_or(name));
            self.declared.extend(names);
        }
        if text.is_empty()
            || [".reg", ".pragma", ".param", ".shared", "st.param"].iter().any(|d| text.starts_with(d))
        {
            return Ok(());
        }
        let instruction =
            self.instruction(text).map_err(|Fault(fault)| Fault(format!("`{text}`: {fault}")))?;
        self.instructions.push(instruction);
        self.lines.push(text);
        Ok(())
    }

    fn instruction(&mut self, text: &'static str) -> Result<Instruction, Fault> {
        let (unless, text) = self.guard(text)?;
        let (opcode, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let operands: Vec<&'static str> = rest.split(',').map(str::trim).filter(|o| !o.is_empty()).collect();
        Ok(Instruction { unless, operation: self.operation(opcode, &operands)? })
    }

    /// `@%p1` or `@!%p1`, if that is how it begins, and the rest.
    fn guard(&mut self, text: &'static str) -> Result<(Unless, &'static str), Fault> {
        let Some(guarded) = text.strip_prefix('@') else { return Ok((None, text)) };
        let Some((predicate, rest)) = guarded.split_once(char::is_whitespace) else { return unknown() };
        let (skipped, predicate) = match predicate.strip_prefix('!') {
            Some(predicate) => (1, predicate),
            None => (0, predicate),
        };
        Ok((Some((self.source(predicate)?, skipped)), rest.trim_start()))
    }

    fn operation(&mut self, opcode: &str, operands: &[&'static str]) -> Result<Operation, Fault> {
        let modifiers: Vec<&str> = opcode.split('.').skip(1).collect();
        let name = opcode.split('.').next().unwrap_or_default();
        Ok(match (name, operands) {
            ("ld", [to, address]) => {
                let (space, ty) = space_and_type(&modifiers)?;
                let (width, signed) = width(ty)?;
                let (address, offset) = self.address(address)?;
                let extend =
                    alu::compute(&format!("cvt.s64.{ty}")).filter(|_| signed).map(|(extend, _)| extend);
                Operation::Load { space, width, to: self.register(to)?, address, offset, extend }
            }
            ("st", [address, from]) => {
                let (space, ty) = space_and_type(&modifiers)?;
                let (address, offset) = self.address(address)?;
                Operation::Store { space, width: width(ty)?.0, from: self.source(from)?, address, offset }
            }
            ("atom" | "red", _) => {
                let (old, [address, value]) = match operands {
                    [old, rest @ ..] if name == "atom" && rest.len() == 2 => {
                        (self.register(old)?, [rest[0], rest[1]])
                    }
                    &[address, value] => (self.new_register(), [address, value]),
                    _ => return unknown(),
                };
                let ["global", compute @ ("add" | "min" | "max"), ty] = modifiers[..] else {
                    return unknown();
                };
                let (address, offset) = self.address(address)?;
                let Some((compute, _)) = alu::compute(&format!("{compute}.{ty}")) else { return unknown() };
                let (width, value) = (width(ty)?.0, self.source(value)?);
                Operation::Reduce { compute, width, old, new: self.new_register(), address, offset, value }
            }
            ("bra", [label]) => {
                self.branches.push((self.instructions.len(), label));
                Operation::Branch(usize::MAX)
            }
            ("bar" | "barrier", ["0"]) => Operation::Barrier,
            ("ret" | "exit", []) => Operation::Return,
            ("call", ["__assertfail", ..]) => Operation::Trap,
            (_, [to, sources @ ..]) => {
                let Some((compute, count)) = alu::compute(opcode) else { return unknown() };
                if sources.len() != count {
                    return unknown();
                }
                let mut numbers = Operands::default();
                numbers[0] = self.register(to)?;
                for (number, source) in numbers[1..].iter_mut().zip(sources) {
                    *number = self.source(source)?;
                }
                Operation::Compute(compute, numbers)
            }
            _ => return unknown(),
        })
    }

    fn new_register(&mut self) -> u32 {
        self.next_register += 1;
        self.next_register - 1
    }

    fn register(&mut self, name: &'static str) -> Result<u32, Fault> {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if !self.declared.contains(&kind) {
            return Fault::new(format!("the simulator does not know {name}"));
        }
        Ok(number(&mut self.registers, &mut self.next_register, name))
    }

    fn constant(&mut self, bits: u64) -> u32 {
        number(&mut self.constants, &mut self.next_register, bits)
    }

    /// The register that has what a source names.
    fn source(&mut self, text: &'static str) -> Result<u32, Fault> {
        if let Some(special) = special(text) {
            return Ok(number(&mut self.specials, &mut self.next_register, special));
        }
        if text.starts_with('%') {
            return self.register(text);
        }
        let bits = if let Some(bits) = text.strip_prefix("0f").or_else(|| text.strip_prefix("0d")) {
            u64::from_str_radix(bits, 16).ok()
        } else if let Ok(number) = text.parse::<i64>() {
            Some(number as u64)
        } else {
            text.parse::<u64>().ok()
        };
        match bits {
            Some(bits) => Ok(self.constant(bits)),
            None => {
                let at = self.symbol(text)?;
                Ok(self.constant(at))
            }
        }
    }

    /// The address of a variable: of the block's memory, of a parameter, or 0 for strings, which nothing reads.
    fn symbol(&mut self, name: &'static str) -> Result<u64, Fault> {
        if let Some(at) = self.parameter_names.get(name).or_else(|| self.shared_names.get(name)) {
            return Ok(*at);
        }
        let declared =
            |declaration: &'static str| declaration.trim_end().ends_with(']') && has_name(declaration, name);
        let Some(text) = self.module.split(&[';', '{', '}']).find(|text| declared(text)) else {
            return Fault::new(format!("{name} is not declared"));
        };
        if !text.contains(".shared") {
            return Ok(0);
        }
        let (_, size, align) = declaration(text.trim())?;
        let at = self.shared.next_multiple_of(align as u64);
        self.shared = at + size as u64;
        self.shared_names.insert(name, at);
        Ok(at)
    }

    /// `[%rd1+8]` or `[name+8]`: a register, and what is added to it.
    fn address(&mut self, text: &'static str) -> Result<(u32, u64), Fault> {
        let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return unknown();
        };
        let (base, offset) = inner.split_once('+').unwrap_or((inner, "0"));
        let Ok(offset) = offset.parse::<i64>() else { return unknown() };
        Ok((self.source(base)?, offset as u64))
    }

    fn finish(mut self, name: &str) -> Result<Kernel, Fault> {
        for (at, label) in self.branches {
            let Some(to) = self.labels.get(label) else {
                return Fault::new(format!("there is no label {label}"));
            };
            self.instructions[at].operation = Operation::Branch(*to);
        }
        Ok(Kernel {
            name: name.to_owned(),
            parameters: self.parameters,
            instructions: self.instructions,
            lines: self.lines,
            registers: self.next_register as usize,
            constants: self.constants.into_iter().map(|(bits, register)| (register, bits)).collect(),
            specials: self.specials.into_iter().map(|(special, register)| (register, special)).collect(),
            shared: self.shared as usize,
        })
    }
}

/// The register of a key, the next one if it has none yet.
fn number<K: Eq + Hash>(registers: &mut HashMap<K, u32>, next: &mut u32, key: K) -> u32 {
    *registers.entry(key).or_insert_with(|| {
        *next += 1;
        *next - 1
    })
}

fn unknown<T>() -> Result<T, Fault> {
    Fault::new("the simulator does not know this instruction")
}

/// Name, bytes and alignment of `.param .align 8 .b8 name[24]` or `.param .u64 name`.
fn declaration(text: &'static str) -> Result<(&'static str, usize, usize), Fault> {
    let bad = || Fault(format!("`{text}` is no declaration"));
    let words: Vec<&'static str> = text.split_whitespace().collect();
    let name = words.last().ok_or_else(bad)?;
    let align =
        words.iter().position(|word| *word == ".align").and_then(|at| words.get(at + 1)?.parse().ok());
    let ty = words[..words.len() - 1].iter().rev().find_map(|word| width(word.strip_prefix('.')?).ok());
    let (width, _) = ty.ok_or_else(bad)?;
    let (name, count) = match name.split_once('[') {
        Some((name, count)) => (name, count.trim_end_matches(']').parse().map_err(|_| bad())?),
        None => (*name, 1),
    };
    Ok((name, width * count, align.unwrap_or(width)))
}

fn has_name(declaration: &str, name: &str) -> bool {
    declaration.split_whitespace().any(|word| word.split('[').next() == Some(name) && word.contains('['))
}

fn special(text: &str) -> Option<Special> {
    let (name, axis) = text.split_once('.')?;
    let axis = ["x", "y", "z"].iter().position(|known| *known == axis)?;
    Some(match name {
        "%tid" => Special::Thread(axis),
        "%ctaid" => Special::Block(axis),
        "%ntid" => Special::Threads(axis),
        "%nctaid" => Special::Blocks(axis),
        _ => return None,
    })
}

fn space_and_type<'a>(modifiers: &[&'a str]) -> Result<(Space, &'a str), Fault> {
    match modifiers {
        ["global", ty] | ["global", "nc", ty] => Ok((Space::Global, ty)),
        ["shared", ty] => Ok((Space::Shared, ty)),
        ["param", ty] => Ok((Space::Parameter, ty)),
        _ => unknown(),
    }
}

/// Bytes of a type, and whether it fills a wider register with its sign.
fn width(ty: &str) -> Result<(usize, bool), Fault> {
    let bits = ty.trim_start_matches(char::is_alphabetic);
    match bits {
        "8" | "16" | "32" | "64" => {
            Ok((bits.parse::<usize>().expect("it is one of these") / 8, ty.starts_with('s')))
        }
        _ => unknown(),
    }
}
