//! `SIMSIAM_INSTRUCTIONS`: keeps the kernels of model and pipeline to a part of the processor's instructions. It is there to look for a
//! fault of one of them, and to show that losses, weights and views are the same bits with each, except in bf16 with `avx512bf16` and
//! `amx`.

use std::ffi::OsStr;

use simsiam_model::backend::cpu;
use simsiam_pipeline as pipeline;

use crate::error::InputError;

/// The variable's name.
pub const VARIABLE: &str = "SIMSIAM_INSTRUCTIONS";

/// A set by the name that the variable has for it, with what it is for model and pipeline.
struct Set {
    name: &'static str,
    model: cpu::Instructions,
    pipeline: pipeline::Instructions,
}

static SETS: [Set; 5] = [
    Set { name: "scalar", model: cpu::Instructions::Scalar, pipeline: pipeline::Instructions::Plain },
    Set { name: "avx2", model: cpu::Instructions::Avx2, pipeline: pipeline::Instructions::Avx2 },
    Set { name: "avx512", model: cpu::Instructions::Avx512, pipeline: pipeline::Instructions::Avx512 },
    Set {
        name: "avx512bf16",
        model: cpu::Instructions::Avx512Bf16,
        pipeline: pipeline::Instructions::Avx512,
    },
    Set { name: "amx", model: cpu::Instructions::Amx, pipeline: pipeline::Instructions::Avx512 },
];

/// Limits this process's kernels to the set that the environment names, if it names one.
///
/// # Errors
/// If it names no set, or one that the processor has not.
pub fn limit_from_environment() -> Result<(), InputError> {
    if let Some(name) = std::env::var_os(VARIABLE) {
        let set = find(&name)?;
        set.model.limit();
        set.pipeline.limit();
    }
    Ok(())
}

/// The name of the set that the kernels use: the best of the processor's, or the environment's.
pub fn in_use() -> &'static str {
    let limited = std::env::var_os(VARIABLE).and_then(|name| find(&name).ok());
    limited.unwrap_or_else(best).name
}

/// The name that the variable has for a set.
pub fn name_of(instructions: cpu::Instructions) -> &'static str {
    of(instructions).name
}

/// The best set that the processor has.
fn best() -> &'static Set {
    of(cpu::Instructions::detected())
}

fn of(instructions: cpu::Instructions) -> &'static Set {
    SETS.iter().find(|set| set.model == instructions).expect("every set has a name")
}

fn find(name: &OsStr) -> Result<&'static Set, InputError> {
    let shown = name.display();
    let Some(set) = SETS.iter().find(|set| name == set.name) else {
        return Err(InputError::new(format!(
            "{VARIABLE}={shown}: must be scalar, avx2, avx512, avx512bf16 or amx"
        )));
    };
    let best = best();
    if set.model > best.model {
        return Err(InputError::new(format!("{VARIABLE}={shown}: this processor has {} at most", best.name)));
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_name_and_others_refused() {
        assert_eq!(find(OsStr::new("scalar")).unwrap().model, cpu::Instructions::Scalar);
        for name in ["sse2", "AVX2", ""] {
            let error = find(OsStr::new(name)).err().unwrap().to_string();
            assert_eq!(
                error,
                format!("SIMSIAM_INSTRUCTIONS={name}: must be scalar, avx2, avx512, avx512bf16 or amx")
            );
        }
        let best = cpu::Instructions::detected();
        for set in &SETS {
            assert_eq!(find(OsStr::new(set.name)).is_ok(), set.model <= best, "{}", set.name);
        }
    }
}
