# Every command a person needs. `make` alone lists them.
# Needs only Python ≥ 3.11 and make: each target sets itself up in .venv the first time.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.ready
ENGINES := .venv-engines
ENGINES_READY := $(ENGINES)/.ready
MUTMUT := .venv-mutants
MUTMUT_READY := $(MUTMUT)/.ready
SAMPLE ?= 150
ROUNDS ?= 50
LOAD_SECONDS ?= 900
EXPERIMENTS ?= 200
REHEARSED := .rehearsed
READOUTS ?= $(REHEARSED)

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-postgres test-fast randomisation test-engines crash load coverage check format bench bench-large peers calibrate replay rehearse verify-elsewhere mutants constraints clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

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

test-postgres: $(READY) ## run the tests of the service with its metadata in PostgreSQL
	@EQUIPOISE_TEST_METADATA=postgres $(BIN)/pytest --numprocesses auto tests/service

test-fast: $(READY) ## run the tests that take seconds
	@$(BIN)/pytest --numprocesses auto -m 'not slow'

# Java 17 is what Spark runs on.
$(ENGINES_READY): pyproject.toml sdk/pyproject.toml stats/pyproject.toml constraints.txt
	@command -v java > /dev/null || { echo "Spark needs Java 17. On Debian and Ubuntu: apt-get install openjdk-17-jre-headless" >&2; exit 1; }
	@echo "Setting up $(ENGINES): PostgreSQL, ClickHouse and Spark (1.5 GB, some minutes, once)"
	@$(PYTHON) -m venv --clear $(ENGINES)
	@$(ENGINES)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(ENGINES)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --constraint tests/engines/constraints.txt --group engines --editable sdk --editable stats --editable .
	@touch $@

test-engines: $(ENGINES_READY) ## run the tests that need PostgreSQL, ClickHouse and Spark
	@$(ENGINES)/bin/pytest tests/engines

crash: $(READY) $(ENGINES_READY) ## kill the service at random moments, ROUNDS=50 times each, on every event store (half an hour)
	@EQUIPOISE_TEST_CRASH_ROUNDS=$(ROUNDS) $(BIN)/pytest -s tests/service/crash
	@EQUIPOISE_TEST_CRASH_ROUNDS=$(ROUNDS) $(ENGINES)/bin/pytest -s tests/engines/test_crash.py

load: $(READY) ## mixed traffic at 80 % of the measured limit for LOAD_SECONDS=900; nothing may be lost
	@EQUIPOISE_TEST_LOAD_SECONDS=$(LOAD_SECONDS) $(BIN)/pytest -s tests/service/load

coverage: $(READY) ## measure which lines and branches of the statistics the tests reach (three minutes); all must be
	@$(BIN)/pytest --numprocesses auto --hypothesis-seed 0 --cov equipoise_stats --cov-branch --cov-report term-missing:skip-covered --cov-fail-under 100 tests/stats

randomisation: $(READY) ## assign a million units in fifty experiments, test uniformity and independence (minutes)
	@$(BIN)/pytest -s -m slow tests/sdk/test_randomisation.py

check: $(READY) ## check format, lint, types and import directions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy sdk stats service migrations tests benchmarks calibration rehearsal examples
	@$(BIN)/lint-imports --no-cache

format: $(READY) ## format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) $(PEERS_READY) ## run the benchmarks and print their ratios
	@$(BIN)/python -m benchmarks

bench-large: $(READY) ## the same of 100 million events (8 GB of disk, half an hour)
	@$(BIN)/python -m benchmarks random_ids readout_large

# gbstats demands numpy < 2, this engine numpy >= 2; it runs on either, so it is installed without its demands.
$(PEERS_READY): pyproject.toml sdk/pyproject.toml stats/pyproject.toml benchmarks/peers/constraints.txt
	@echo "Setting up $(PEERS): the libraries that the statistics and the SDK are compared with"
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --constraint benchmarks/peers/constraints.txt --group peers --editable sdk --editable stats
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --constraint benchmarks/peers/constraints.txt --no-deps gbstats
	@touch $@

peers: $(PEERS_READY) ## compare the statistics with other libraries and write docs/explanation/statistics/compared.md
	@$(PEERS)/bin/python -m benchmarks.peers.compare

calibrate: $(READY) ## measure size, coverage and power of every statistical method (ten minutes), write the table
	@$(BIN)/python -m calibration

replay: $(READY) ## replay A/A experiments from real data through the readout (three minutes), write the table
	@$(BIN)/python -m calibration.replays

rehearse: $(READY) ## run EXPERIMENTS=200 simulated experiments through a service whose days pass, write the table
	@rm -rf $(REHEARSED)
	@$(BIN)/python -m rehearsal $(EXPERIMENTS) --keep $(REHEARSED)

verify-elsewhere: $(READY) ## verify the READOUTS that 'make rehearse' left on an emulated ARM machine (half an hour)
	@$(BIN)/python -m rehearsal.emulated $(READOUTS)

$(MUTMUT_READY): pyproject.toml stats/pyproject.toml
	@$(PYTHON) -m venv --clear $(MUTMUT)
	@$(MUTMUT)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(MUTMUT)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group mutants --editable stats
	@touch $@

mutants: $(MUTMUT_READY) ## count the mutants of the statistics' core that the tests kill (SAMPLE=150)
	@$(MUTMUT)/bin/python tests/stats/mutants.py $(SAMPLE)

constraints: ## resolve the newest versions that our metadata admits into constraints.txt
	@$(PYTHON) -m venv --clear $(VENV)-constraints
	@$(VENV)-constraints/bin/pip install --quiet --upgrade pip
	@$(VENV)-constraints/bin/pip install --quiet --group dev --editable sdk --editable stats --editable .
	@{ echo "# Versions that make installs; written by 'make constraints'."; $(VENV)-constraints/bin/pip freeze --all --exclude-editable; } > constraints.txt
	@rm -rf $(VENV)-constraints

clean: ## remove .venv and caches
	@rm -rf $(VENV) $(PEERS) $(ENGINES) $(MUTMUT) .venv-node .mutants $(REHEARSED) .mypy_cache .ruff_cache .pytest_cache .hypothesis
