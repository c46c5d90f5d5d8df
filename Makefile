# Two promises: `make demo` and `make test` work on a fresh machine with Python 3.11 or later, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench screenshots soak clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.installed  ## the main job on real images, offline, in one or two minutes
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev  ## every test, with warnings as errors
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: $(VENV)/.dev  ## formatting, lint, strict types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## the figures of docs/benchmarks.md; needs PELLUCID_DATA, a folder with data/ and weights/
	$(BIN)/python benchmarks/run.py

screenshots: $(VENV)/.dev  ## the pictures of the pages, of what `make demo` left
	$(BIN)/python examples/screenshots.py

soak: $(VENV)/.dev  ## long runs of random kills
	$(BIN)/python -m pytest -n $(JOBS) -m soak --override-ini addopts="--import-mode=importlib -ra"

clean:  ## remove what these commands made
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.made:
	@echo "setting up in $(VENV): some minutes the first time, in which pip says nothing"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"
	touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) --editable ".[hub,postgres,s3]" --group dev
	touch $@ $(VENV)/.installed
