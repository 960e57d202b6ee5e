# Every command a person needs. `make` alone lists them.
# Needs only Python ≥ 3.11 and make: each target sets itself up in .venv the first time.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-fast check format bench constraints clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml sdk/pyproject.toml stats/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Equipoise needs Python 3.11 or newer; $(PYTHON) is older. Name another with: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Setting up $(VENV) (about a minute, once)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Making $(VENV) failed. On Debian and Ubuntu, 'apt-get install python3-venv' mends that." >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable sdk --editable stats --editable .
	@touch $@

setup: $(READY) ## make .venv with everything in it (the other commands do this by themselves)

demo: $(READY) ## start a service, run a simulated experiment through it, print the readout, stop
	@$(BIN)/equipoise demo

serve: $(READY) ## start the service on its embedded defaults, data in ./equipoise-data
	@$(BIN)/equipoise serve

test: $(READY) ## run all tests
	@$(BIN)/pytest --numprocesses auto

test-fast: $(READY) ## run the tests that take seconds
	@$(BIN)/pytest --numprocesses auto -m 'not slow'

check: $(READY) ## check format, lint, types and import directions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy sdk stats service migrations tests benchmarks examples
	@$(BIN)/lint-imports --no-cache

format: $(READY) ## format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## run the benchmarks and print their ratios
	@$(BIN)/python -m benchmarks

constraints: ## resolve the newest versions that our metadata admits into constraints.txt
	@$(PYTHON) -m venv --clear $(VENV)-constraints
	@$(VENV)-constraints/bin/pip install --quiet --upgrade pip
	@$(VENV)-constraints/bin/pip install --quiet --group dev --editable sdk --editable stats --editable .
	@{ echo "# Versions that make installs; written by 'make constraints'."; $(VENV)-constraints/bin/pip freeze --all --exclude-editable; } > constraints.txt
	@rm -rf $(VENV)-constraints

clean: ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
