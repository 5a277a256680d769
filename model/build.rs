//! With the feature `cuda`: compiles `cuda/*.cu`, so that nothing is compiled on the machine that trains.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Machine code for A100 and H100, and PTX that the driver compiles for all others from Ampere on, which dfdx needs too.
const TARGETS: [&str; 3] =
    ["arch=compute_80,code=sm_80", "arch=compute_90,code=sm_90", "arch=compute_80,code=compute_80"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_some()
        && let Err(error) = compile()
    {
        println!("cargo::error={error}");
    }
}

fn compile() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let nvcc = nvcc();
    println!("cargo::rerun-if-changed=cuda");
    println!("cargo::rerun-if-env-changed=CUDA_PATH");
    let sources = fs::read_dir("cuda").map_err(|error| format!("model/cuda: {error}"))?;
    for source in sources {
        let path = source.map_err(|error| format!("model/cuda: {error}"))?.path();
        if path.extension().is_some_and(|extension| extension == "cu") {
            let fatbin = out.join(path.with_extension("fatbin").file_name().ok_or("a source has a name")?);
            compile_one(&nvcc, &path, &fatbin)?;
        }
    }
    Ok(())
}

fn compile_one(nvcc: &Path, source: &Path, fatbin: &Path) -> Result<(), String> {
    let mut command = Command::new(nvcc);
    command.args(["-std=c++17", "-O3", "--fatbin"]);
    TARGETS.iter().for_each(|target| {
        command.args(["-gencode", target]);
    });
    let output = command.arg("-o").arg(fatbin).arg(source).output().map_err(|error| {
        format!(
            "cannot run {} ({error}): set CUDA_PATH to a CUDA 13 toolkit, or see docs/cuda.md",
            nvcc.display()
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let lines = String::from_utf8_lossy(&output.stderr).replace('\n', "; ");
    Err(format!("nvcc failed on model/{}: {lines}", source.display()))
}

/// That of `CUDA_PATH`, else the one on the `PATH`.
fn nvcc() -> PathBuf {
    match env::var_os("CUDA_PATH") {
        Some(root) => PathBuf::from(root).join("bin/nvcc"),
        None => "nvcc".into(),
    }
}
