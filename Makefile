# Everything sets itself up in .venv/ on a machine that has Python 3.11+ with venv and pip, and make.

PYTHON ?= python3
BIN := .venv/bin
OUT ?= out/demo
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-full lint types docs bench dist clean

help:
	@echo "make demo       the main job on real and simulated cells, figures and a report in $(OUT)"
	@echo "make test       the tests                make test-full  the long campaigns too"
	@echo "make lint       format, lint, layers     make types      mypy --strict"
	@echo "make docs       the documentation        make bench      the benchmarks, quick form"
	@echo "make dist       the wheel and the sdist, installed in empty environments, without and with each extra"

.venv/.ready: pyproject.toml requirements/constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -e ".[dev,docs]"
	@touch $@

.venv/.bench: .venv/.ready
	$(PIP) -e ".[bench]"
	@touch $@

demo: .venv/.ready
	env -u OMP_NUM_THREADS $(BIN)/insignia demo -o $(OUT)

test: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not full"

test-full: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: .venv/.ready
	$(BIN)/mypy

docs: .venv/.ready
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

bench: .venv/.bench
	$(BIN)/python -m benchmarks.attribution --quick
	$(BIN)/python -m benchmarks.search --quick
	$(BIN)/python -m benchmarks.spatial --quick
	$(BIN)/python -m benchmarks.perturb --quick
	$(BIN)/python -m benchmarks.statistics --quick
	$(BIN)/python -m benchmarks.screen --quick
	$(BIN)/python -m benchmarks.ingest --quick
	$(BIN)/python -m benchmarks.faults --quick
	$(BIN)/python -m benchmarks.serve --quick

dist: .venv/.ready
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m benchmarks.install dist

clean:
	rm -rf .venv out docs/_build build dist
