# Two commands on a fresh machine with Python 3.11 or newer and make: `make demo` and `make test`.
PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13 3,$(shell command -v python$(version))) python3.11)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP_FLAGS := --quiet --no-compile -c constraints.txt
# Python keeps what it compiles of the packages when it is imported, whatever the user's setting: hundreds of processes
# of the tests import them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test test-slow lint types layers theory docs bench published instances package check clean

setup: $(STAMP)

# PyTorch goes in first and by its exact version, so that nothing later pulls another build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "hcp needs Python 3.11 or newer: set PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) torch==2.13.0
	$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[torch,jax,plot,ray,docs,dev]'
	# Compiles the searches, so that they are there for the first time limit already.
	$(BIN)/hcp compile
	touch $(STAMP)

demo: setup
	$(BIN)/hcp demo

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

# The same with eight times as many random examples, all parameters, and what takes long.
test-slow: setup
	HCP_SLOW_TESTS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

theory: setup
	$(BIN)/python -m theory_checks

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet -f .ci/docs/mkdocs.yml

# make bench PROFILE=medium DATA=folder-of-published-graphs
PROFILE ?= small
bench: setup
	PYTHON=$(BIN)/python benchmarks/run_all.sh --profile $(PROFILE) $(if $(DATA),--data $(DATA))

# make published DATA=folder-of-published-graphs: the published comparison as tables (Markdown, LaTeX) and a figure
published: setup
	$(BIN)/python -m benchmarks.published --data $(DATA) --out results/published

# Every schedule and certificate of the library of instances, by hcp and by the standalone checker: a minute.
instances: setup
	$(BIN)/hcp instances check

# The wheel and the sdist, built, installed into a clean environment, and tried there.
package: setup
	.ci/package $(BIN)/python results/package

check: lint types layers docs package test

clean:
	rm -rf $(VENV) results .pytest_cache .mypy_cache .ruff_cache .hypothesis
