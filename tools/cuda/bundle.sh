#!/usr/bin/env bash
# Copies the program and the CUDA libraries that it loads into one folder, to run on a machine with an NVIDIA driver (580
# or later) and no other part of CUDA.
#
# usage: tools/cuda/bundle.sh ROOT BINARY DIR    ROOT: a toolkit, or what root.sh made; then: DIR/simsiam doctor --device cuda
set -euo pipefail
[ $# = 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; }
root=$1 binary=$2 to=$3
mkdir -p "$to/lib"
cp "$binary" "$to/simsiam.bin"

# cuDNN loads its parts by name, and cuBLAS its second half. Never libcuda: it must be the driver's.
for name in libcublas libcublasLt libnvrtc libnvrtc-builtins libcudnn 'libcudnn_*'; do
  found=("$root"/lib64/$name.so.*)
  [ -e "${found[0]}" ] || { echo "$name.so.* is not in $root/lib64" >&2; exit 1; }
  for library in "${found[@]}"; do cp -L "$library" "$to/lib/$(basename "$library")"; done
done
# Names without a version are looked for first: those of another CUDA must not be found.
for name in libcublas libcudnn; do ln -sf "$(basename "$(echo "$to"/lib/$name.so.*)")" "$to/lib/$name.so"; done

cat >"$to/simsiam" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/simsiam.bin" "$@"
WRAPPER
chmod +x "$to/simsiam"
du -sh "$to" | sed 's/$/: try simsiam doctor --device cuda in it/'
