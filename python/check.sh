#!/usr/bin/env bash
# Builds the package, installs it into a fresh virtual environment with what examples and tests need, and runs them all.
# Needs Rust, Python 3.11 or later, and a package index. An argument names the environment's folder.
set -euo pipefail
cd "$(dirname "$0")"

venv=${1:-$(mktemp -d)/venv}
step() { printf '\n== %s\n' "$*"; "$@"; }

step "${PYTHON:-python3}" -m venv --clear "$venv"
step "$venv/bin/pip" install --quiet --upgrade pip
step "$venv/bin/pip" install --quiet ".[test,examples,bench]"
for example in pytorch_simsiam lightning_datamodule jax_loop; do
    step env JAX_PLATFORMS=cpu "$venv/bin/python" "examples/$example.py"
done
step "$venv/bin/python" -m pytest --quiet --durations=5 tests
# The stubs beside the module itself; Python shows `__buffer__` from 3.12 on.
step "$venv/bin/python" -m mypy.stubtest simsiam --ignore-unused-allowlist --allowlist <(echo simsiam._simsiam.Array.__buffer__)
step "$venv/bin/python" benches/loader.py --quick
