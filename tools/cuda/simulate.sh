#!/usr/bin/env bash
# Runs a program built with the feature `cuda` on a simulated GPU (tools/cuda/simulator): slow and strict, on any Linux
# machine with Rust. SIMULATOR_ORDER=early|late|mixed sets when streams run, SIMULATOR_MIB the size of the device's
# memory; SIMULATOR_WAITS=MOST stops a program whose host waits for the device more than MOST times in a training step.
#
# usage: tools/cuda/simulate.sh target/debug/simsiam doctor --device cuda --steps 4
set -euo pipefail
[ $# != 0 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(dirname "$(readlink -f "$0")")
target=$here/../../target/simulator
RUSTFLAGS="${RUSTFLAGS:--C target-cpu=native}" \
  cargo build --quiet --locked --release --manifest-path "$here/simulator/Cargo.toml" --target-dir "$target"

# One library stands for all; names without a version are looked for first.
mkdir -p "$target/lib"
for name in libcuda.so{,.1} libcublas.so{,.13} libcudnn.so{,.9} libnvrtc.so.13; do
  ln -sfn ../release/libcuda_simulator.so "$target/lib/$name"
done
LD_LIBRARY_PATH="$(realpath "$target/lib")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$@"
