#!/usr/bin/env bash
# Does every check that needs a GPU, in under eight minutes, and writes tables, JSON and a summary as they come.
#
#   benchmarks/gpu_all.sh [--wheels FOLDER] [--out FOLDER] [--only PIECE] [--device cpu --tiny]
#
# It needs a Python with PyTorch, numba and pytest, by default python3 or what $PYTHON names; JAX for the last piece.
# --wheels FOLDER installs the wheels of a folder first, beside the Python's own packages and from nowhere else; without
# OR-Tools and HiGHS hcp plans by its heuristics and annealing. --device cpu --tiny rehearses all of it on a CPU.
# The other options are those of benchmarks/gpu_all.py.
set -euo pipefail
from="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-python3}"

wheels=
arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
    # Folders are seen from where the command is given.
    --wheels) wheels="$(cd "$from" && realpath -m "${2:?--wheels needs a folder}")" && shift 2 ;;
    --out) arguments+=(--out "$(cd "$from" && realpath -m "${2:?--out needs a folder}")") && shift 2 ;;
    *) arguments+=("$1") && shift ;;
    esac
done

export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "$wheels" ]; then
    site="$(mktemp -d)"
    trap 'rm -rf "$site"' EXIT
    # What a wheel needs lies in the folder as well or is there already. One that fails leaves the checks without it.
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl ||
        echo "the wheels in $wheels could not be installed; going on without them" >&2
    export PYTHONPATH="$PYTHONPATH:$site"
fi
"$python" -m benchmarks.gpu_all ${arguments[@]+"${arguments[@]}"}
