# Everyday commands. Each sets up what it needs; a fresh machine needs Python 3.11 or later and make.

PYTHON ?= python3
BIN := .venv/bin
export PYTHONWARNINGS ?= ignore::ResourceWarning

.PHONY: help demo test check fuzz prove bench format clean

help:
	@echo "make demo     play a month with a spike of a million users, and prove the bill"
	@echo "make test     lint, types, import contracts, then all tests"
	@echo "make check    the first three only"
	@echo "make fuzz     throw bytes, frames and JSON gone wrong at every door of a server, a hundred times as many as the tests; about an hour"
	@echo "make prove    race a million requests at a cap, kill processes, and find every planted defect and every spoilt run; about two hours"
	@echo "make bench    measure the figures of the README; writes benchmarks/results/"
	@echo "make format   let ruff lay out the code"
	@echo "make clean    remove the virtual environment and caches, not the runs"

demo: .venv/run
	$(BIN)/locust -f locustfiles/dau_spike.py --headless --peak-dau 1000000 --month 2026-10 --seed 7

test: .venv/dev check
	$(BIN)/python -m pytest -q -n 2

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# ONLY=gateway takes the tests of one door.
fuzz: .venv/dev
	$(BIN)/python -m pytest -q tests/fuzz --hypothesis-profile=long -k "$(ONLY)"

prove: .venv/dev
	$(BIN)/python -m proofs

bench: .venv/dev build/moto
	$(BIN)/python -m benchmarks

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# Another mock of a cloud, to measure ours against; in an environment of its own.
build/moto: requirements/moto.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/moto.txt
	@touch $@

.venv/run: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/run requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
