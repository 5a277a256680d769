#!/usr/bin/env bash
# Lays out what `--features cuda` needs to compile and to link, from NVIDIA's Python wheels: no GPU, no toolkit, no root.
# A machine with a CUDA 13 toolkit and cuDNN 9 does not need it.
#
# usage: tools/cuda/root.sh DIR     then:  . DIR/env && cargo build --release --features cuda
set -euo pipefail
[ $# = 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; }
root=$(realpath -m "$1")
mkdir -p "$root"/{bin,include,lib64}
python3 -m venv "$root/venv" # kept: the root is links into it

# nvcc stays at 13.0, whose PTX a 580 driver accepts.
"$root/venv/bin/pip" install --quiet --no-deps \
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-cccl==13.0.85 \
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3 nvidia-cudnn-cu13==9.19.0.56
wheels=$(echo "$root"/venv/lib/python3*/site-packages/nvidia)

ln -sfn "$wheels/cu13/nvvm" "$root/nvvm"
ln -sfn lib64 "$root/lib"
ln -sfn "$wheels"/cu13/bin/* "$root/bin/"
ln -sfn "$wheels"/{cu13,cudnn}/include/* "$root/include/"
# The linker asks for libNAME.so, programs for libNAME.so.MAJOR.
for library in "$wheels"/{cu13,cudnn}/lib/*.so.*; do
  name=$(basename "$library")
  ln -sfn "$library" "$root/lib64/$name"
  ln -sfn "$name" "$root/lib64/${name%%.so.*}.so"
done

# The driver is not a library to ship. The program finds its functions when it starts (model/src/backend/cuda/late.rs),
# so that nothing is taken from this one, which is empty.
mkdir -p "$root/lib64/stubs"
cc -shared -x c -o "$root/lib64/stubs/libcuda.so" /dev/null

# dfdx's build script asks for the compute capability of the GPU. The kernels
# of dfdx need 8.0 (Ampere), and PTX for it runs on all later.
mkdir -p "$root/answers"
printf '#!/bin/sh\nprintf "compute_cap\\n%s\\n"\n' "${COMPUTE_CAP:-8.0}" >"$root/answers/nvidia-smi"
chmod +x "$root/answers/nvidia-smi"

printf 'export CUDA_PATH=%q PATH=%q:$PATH\n' "$root" "$root/answers:$root/bin" >"$root/env"
echo "ready: . $root/env && cargo build --release --features cuda"
