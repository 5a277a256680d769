#!/usr/bin/env bash
# Trains six steps on the simulated GPU, and fails if the host waits for the device in a step between two log lines.
# More arguments are for `simsiam train`.
#
# usage: tools/cuda/waits.sh target/debug/simsiam [--method mocov2]
set -euo pipefail
[ $# != 0 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; }
simulate=$(dirname "$(readlink -f "$0")")/simulate.sh
program=$(readlink -f "$1")
shift

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder" # where the demo's images go
SIMULATOR_WAITS=${SIMULATOR_WAITS:-0} "$simulate" "$program" train --preset demo --device cuda --limit 24 \
  --batch-size 4 --epochs 1 --log-every 10 --knn-every 0 --run-dir run "$@"
