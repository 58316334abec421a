#!/usr/bin/env bash
# Runs every benchmark at a size, writes tables and JSON, and compares them with the committed results.
#
#   benchmarks/run_all.sh [--profile small|medium|large] [--data FOLDER] [--out FOLDER]
#
# small takes a quarter of an hour, medium about an hour, large a working day. The comparison of executed PyTorch steps
# has one size, takes some hours, and is among the large ones; by itself it is made by
#
#   .venv/bin/python -m benchmarks.executed_torch --out benchmarks/results
#
# --data is a folder of published graphs
# (see benchmarks/published.py), which are not part of this project; without it that benchmark is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=small
data=
out=
while [ $# -gt 0 ]; do
    case "$1" in
    --profile) profile="${2:?--profile needs small, medium or large}" && shift 2 ;;
    --data) data="${2:?--data needs a folder}" && shift 2 ;;
    --out) out="${2:?--out needs a folder}" && shift 2 ;;
    *) echo "unknown argument '$1'; give --profile small|medium|large, --data FOLDER or --out FOLDER" >&2 && exit 2 ;;
    esac
done
out="${out:-results/benchmarks/$profile}"
python="${PYTHON:-.venv/bin/python}"

heuristics=(sqrt_n chen_greedy interval_tree rotor lower_sets treewidth eviction knapsack reorder)
exact=(lp staged moccasin cpsat auto)
case "$profile" in
small)
    solvers=("${heuristics[@]}" lp auto) budgets=(70% 50%) seconds=5 sizes=(transformer:{4,8} random-layered:200)
    ;;
medium)
    solvers=("${heuristics[@]}" anneal memetic "${exact[@]}") budgets=(70% 50% 30%) seconds=20 sizes=(transformer:{8,24,72} random-layered:{200,1000})
    ;;
large)
    # Every planner, every size.
    solvers=() budgets=(70% 50% 30%) seconds=60 sizes=()
    ;;
*) echo "unknown profile '$profile'; choose small, medium or large" >&2 && exit 2 ;;
esac

each() { # each OPTION ITEM...: the option before every item
    local option="$1" item
    shift
    for item in "$@"; do printf '%s\n%s\n' "$option" "$item"; done
}

failed=()
run() { # run NAME ARGUMENT...: one that fails does not keep the others from running
    echo "== $1 ($profile)"
    "$python" -m "benchmarks.$1" --out "$out" "${@:2}" || failed+=("$1")
}

mapfile -t of_solvers < <(each --solver ${solvers[@]+"${solvers[@]}"})
mapfile -t of_budgets < <(each --budget "${budgets[@]}")
mapfile -t of_sizes < <(each --graph ${sizes[@]+"${sizes[@]}"})
run captured --time-limit "$seconds" "${of_budgets[@]}" ${of_solvers[@]+"${of_solvers[@]}"}
run scaling --time-limit "$((2 * seconds))" ${of_sizes[@]+"${of_sizes[@]}"}
if [ -n "$data" ]; then
    run published --data "$data" --time-limit "$seconds"
fi
if [ "$profile" = large ]; then
    run executed_torch
fi
run executed_jax --profile "$profile"
if [ "$profile" = large ]; then
    run executed_jax_kinds
fi
"$python" -m benchmarks.regression "$out" "benchmarks/results/$profile"
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
