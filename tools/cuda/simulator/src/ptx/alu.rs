//! Instructions on registers. A register has 64 bits, of which a smaller value uses the lower ones.

use super::Compute;

/// A function and how many sources it has.
type Known = (Compute, usize);

/// A type of PTX's.
trait Value: Copy {
    fn of(bits: u64) -> Self;
    fn bits(self) -> u64;
}

macro_rules! value {
    ($($type:ty => $unsigned:ty),*) => {$(
        impl Value for $type {
            fn of(bits: u64) -> Self {
                bits as Self
            }
            fn bits(self) -> u64 {
                u64::from(self as $unsigned)
            }
        }
    )*};
}
value!(u8 => u8, u16 => u16, u32 => u32, u64 => u64, i8 => u8, i16 => u16, i32 => u32, i64 => u64);

impl Value for f32 {
    fn of(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Value for f64 {
    fn of(bits: u64) -> Self {
        Self::from_bits(bits)
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

impl Value for bool {
    fn of(bits: u64) -> Self {
        bits != 0
    }
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

/// A function of the operands, whose types are written with their names.
macro_rules! compute {
    (|$($operand:ident: $type:ty),+| $result:expr) => {{
        let f: Compute = |registers, o, active| {
            let [to, sources @ ..] = o;
            let mut sources = sources.iter();
            $(let $operand = registers[*sources.next().expect("there are four") as usize];)+
            for (lane, to) in registers[*to as usize].iter_mut().enumerate() {
                $(let $operand = <$type>::of($operand[lane]);)+
                if active >> lane & 1 == 1 {
                    *to = Value::bits($result);
                }
            }
        };
        (f, [$(stringify!($operand)),+].len())
    }};
}

/// The function for each type that a name may stand for, of which only the bits count.
macro_rules! bits {
    ($name:expr, $T:ident => $make:expr) => {
        match $name {
            "pred" => {
                type $T = bool;
                Some($make)
            }
            "b16" | "u16" | "s16" => {
                type $T = u16;
                Some($make)
            }
            "b32" | "u32" | "s32" | "f32" => {
                type $T = u32;
                Some($make)
            }
            "b64" | "u64" | "s64" | "f64" => {
                type $T = u64;
                Some($make)
            }
            _ => None,
        }
    };
}

/// As [`bits`], of whole numbers.
macro_rules! integers {
    ($name:expr, $T:ident => $make:expr) => {
        match $name {
            "u8" => {
                type $T = u8;
                Some($make)
            }
            "b16" | "u16" => {
                type $T = u16;
                Some($make)
            }
            "b32" | "u32" => {
                type $T = u32;
                Some($make)
            }
            "b64" | "u64" => {
                type $T = u64;
                Some($make)
            }
            "s8" => {
                type $T = i8;
                Some($make)
            }
            "s16" => {
                type $T = i16;
                Some($make)
            }
            "s32" => {
                type $T = i32;
                Some($make)
            }
            "s64" => {
                type $T = i64;
                Some($make)
            }
            _ => None,
        }
    };
}

/// As [`bits`], of floating-point numbers.
macro_rules! floats {
    ($name:expr, $T:ident => $make:expr) => {
        match $name {
            "f32" => {
                type $T = f32;
                Some($make)
            }
            "f64" => {
                type $T = f64;
                Some($make)
            }
            _ => None,
        }
    };
}

/// What an instruction computes, and of how many sources; `None` if it is not known here.
pub(super) fn compute(opcode: &str) -> Option<Known> {
    let (name, rest) = opcode.split_once('.')?;
    let modifiers: Vec<&str> = rest.split('.').collect();
    let (&ty, how) = modifiers.split_last()?;
    // Those of the first line say more than how it is rounded, and are looked at below. Denormal numbers are kept.
    let is_known = ["mul", "mad", "fma", "setp", "cvt"].contains(&name)
        || how.iter().all(|how| ["rn", "approx", "ftz", "to", "global"].contains(how));
    if !is_known {
        return None;
    }
    match name {
        "mov" | "cvta" => bits!(ty, T => compute!(|a: T| a)),
        "not" => bits!(ty, T => compute!(|a: T| !a)),
        "and" => bits!(ty, T => compute!(|a: T, b: T| a & b)),
        "or" => bits!(ty, T => compute!(|a: T, b: T| a | b)),
        "xor" => bits!(ty, T => compute!(|a: T, b: T| a ^ b)),
        "selp" => bits!(ty, T => compute!(|a: T, b: T, first: bool| if first { a } else { b })),
        "shl" => integers!(ty, T => compute!(|a: T, by: u32| a.checked_shl(by).unwrap_or(0))),
        // Of a signed number, its sign is what remains.
        "shr" => integers!(ty, T => compute!(|a: T, by: u32| match a.checked_shr(by) {
            Some(shifted) => shifted,
            None => (a >> (T::BITS / 2)) >> (T::BITS / 2),
        })),
        "add" => integers!(ty, T => compute!(|a: T, b: T| a.wrapping_add(b)))
            .or(floats!(ty, T => compute!(|a: T, b: T| a + b))),
        "sub" => integers!(ty, T => compute!(|a: T, b: T| a.wrapping_sub(b)))
            .or(floats!(ty, T => compute!(|a: T, b: T| a - b))),
        "mul" => match modifiers[0] {
            "wide" => wide(ty),
            "lo" => integers!(ty, T => compute!(|a: T, b: T| a.wrapping_mul(b))),
            "rn" | "f32" | "f64" => floats!(ty, T => compute!(|a: T, b: T| a * b)),
            _ => None,
        },
        "mad" if modifiers[0] == "lo" => {
            integers!(ty, T => compute!(|a: T, b: T, c: T| a.wrapping_mul(b).wrapping_add(c)))
        }
        "fma" if modifiers[0] == "rm" && ty == "f32" => {
            Some(compute!(|a: f32, b: f32, c: f32| down(f64::from(a) * f64::from(b) + f64::from(c))))
        }
        "fma" if modifiers[0] == "rn" => floats!(ty, T => compute!(|a: T, b: T, c: T| a.mul_add(b, c))),
        "div" => integers!(ty, T => compute!(|a: T, b: T| a.checked_div(b).unwrap_or(!0)))
            .or(floats!(ty, T => compute!(|a: T, b: T| a / b))),
        "rem" => integers!(ty, T => compute!(|a: T, b: T| a.checked_rem(b).unwrap_or(!0))),
        // Of NaN and a number, the number.
        "min" => integers!(ty, T => compute!(|a: T, b: T| a.min(b)))
            .or(floats!(ty, T => compute!(|a: T, b: T| a.min(b)))),
        "max" => integers!(ty, T => compute!(|a: T, b: T| a.max(b)))
            .or(floats!(ty, T => compute!(|a: T, b: T| a.max(b)))),
        "neg" => integers!(ty, T => compute!(|a: T| (0 as T).wrapping_sub(a)))
            .or(floats!(ty, T => compute!(|a: T| -a))),
        "abs" => floats!(ty, T => compute!(|a: T| a.abs())),
        "copysign" => floats!(ty, T => compute!(|sign: T, a: T| a.copysign(sign))),
        "sqrt" => floats!(ty, T => compute!(|a: T| a.sqrt())),
        "rsqrt" => floats!(ty, T => compute!(|a: T| a.sqrt().recip())),
        "rcp" => floats!(ty, T => compute!(|a: T| a.recip())),
        "ex2" => floats!(ty, T => compute!(|a: T| a.exp2())),
        "lg2" => floats!(ty, T => compute!(|a: T| a.log2())),
        "prmt" => Some(compute!(|a: u32, b: u32, selector: u32| permuted(a, b, selector))),
        "setp" if modifiers.len() == 2 => compare(modifiers[0], ty),
        "cvt" => convert(&modifiers),
        _ => None,
    }
}

/// The whole product of two numbers.
fn wide(ty: &str) -> Option<Known> {
    Some(match ty {
        "u16" => compute!(|a: u16, b: u16| u32::from(a) * u32::from(b)),
        "s16" => compute!(|a: i16, b: i16| i32::from(a) * i32::from(b)),
        "u32" => compute!(|a: u32, b: u32| u64::from(a) * u64::from(b)),
        "s32" => compute!(|a: i32, b: i32| i64::from(a) * i64::from(b)),
        _ => return None,
    })
}

/// The largest f32 that is not above a number.
fn down(exact: f64) -> f32 {
    let nearest = exact as f32;
    if f64::from(nearest) > exact { nearest.next_down() } else { nearest }
}

/// Bytes of two numbers, chosen by the selector's four lowest hexadecimal digits.
fn permuted(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = (u64::from(b) << 32 | u64::from(a)).to_le_bytes();
    let chosen = std::array::from_fn(|i| {
        let digit = selector >> (4 * i) & 0xf;
        let byte = bytes[(digit & 7) as usize];
        // The highest bit of a digit asks for the byte's sign in all its bits.
        if digit & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 }
    });
    u32::from_le_bytes(chosen)
}

fn compare(comparison: &str, ty: &str) -> Option<Known> {
    let integers = match comparison {
        "eq" => bits!(ty, T => compute!(|a: T, b: T| a == b)),
        "ne" => bits!(ty, T => compute!(|a: T, b: T| a != b)),
        "lt" => integers!(ty, T => compute!(|a: T, b: T| a < b)),
        "le" => integers!(ty, T => compute!(|a: T, b: T| a <= b)),
        "gt" => integers!(ty, T => compute!(|a: T, b: T| a > b)),
        "ge" => integers!(ty, T => compute!(|a: T, b: T| a >= b)),
        _ => None,
    };
    // Those that end in u are true of NaN.
    let floats = match comparison {
        "eq" => floats!(ty, T => compute!(|a: T, b: T| a == b)),
        "ne" => floats!(ty, T => compute!(|a: T, b: T| a != b && !a.is_nan() && !b.is_nan())),
        "lt" => floats!(ty, T => compute!(|a: T, b: T| a < b)),
        "le" => floats!(ty, T => compute!(|a: T, b: T| a <= b)),
        "gt" => floats!(ty, T => compute!(|a: T, b: T| a > b)),
        "ge" => floats!(ty, T => compute!(|a: T, b: T| a >= b)),
        "equ" => floats!(ty, T => compute!(|a: T, b: T| a == b || a.is_nan() || b.is_nan())),
        "neu" => floats!(ty, T => compute!(|a: T, b: T| a != b)),
        "ltu" => floats!(ty, T => compute!(|a: T, b: T| a < b || a.is_nan() || b.is_nan())),
        "leu" => floats!(ty, T => compute!(|a: T, b: T| a <= b || a.is_nan() || b.is_nan())),
        "gtu" => floats!(ty, T => compute!(|a: T, b: T| a > b || a.is_nan() || b.is_nan())),
        "geu" => floats!(ty, T => compute!(|a: T, b: T| a >= b || a.is_nan() || b.is_nan())),
        "num" => floats!(ty, T => compute!(|a: T, b: T| !a.is_nan() && !b.is_nan())),
        "nan" => floats!(ty, T => compute!(|a: T, b: T| a.is_nan() || b.is_nan())),
        _ => None,
    };
    floats.or(integers)
}

fn convert(modifiers: &[&str]) -> Option<Known> {
    let (&from, rest) = modifiers.split_last()?;
    let (&to, how) = rest.split_last()?;
    match how {
        [] | ["rn"] => integers!(from, A => {
            integers!(to, B => compute!(|a: A| a as B)).or(floats!(to, B => compute!(|a: A| a as B)))
        })
        .or_else(|| floats!(from, A => floats!(to, B => compute!(|a: A| a as B))))
        .flatten(),
        ["sat"] if from == to => floats!(from, A => compute!(|a: A| if a > 0.0 { a.min(1.0) } else { 0.0 })),
        ["rni"] | ["rmi"] | ["rzi"] if from == to => match how[0] {
            "rni" => floats!(from, A => compute!(|a: A| a.round_ties_even())),
            "rmi" => floats!(from, A => compute!(|a: A| a.floor())),
            _ => floats!(from, A => compute!(|a: A| a.trunc())),
        },
        ["rzi"] => floats!(from, A => integers!(to, B => compute!(|a: A| a as B))).flatten(),
        _ => None,
    }
}
