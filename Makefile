# `make` or `make help` lists the targets. Two of them do everything: `make demo` runs one whole synchronisation, `make test` passes
# the tests.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STATE ?= demo-state
SOAK ?= soak-state
TEXT ?= $(wildcard ../shared/data/text)

# Byte code is kept even where the environment forbids it: else each process that the tests start compiles all modules anew.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo check test-fast test docs soak sabotage crash contention hardening newcomer lock sbom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# torch comes from whatever index has the wanted variant (CPU, CUDA); everything else must have the hash that is written down.
$(VENV)/.installed: pyproject.toml constraints.txt requirements.lock requirements-dev.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements.lock --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(VENV)/.installed ## one whole synchronisation on real parts: some twenty minutes on two cores, 6 GiB of memory
	$(BIN)/kbsync demo --state $(STATE) $(if $(TEXT),--text $(TEXT))

check: $(VENV)/.installed ## lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Temporary files of the tests are kept in memory where there is room: the tests call fsync thousands of times, and a disk
# takes milliseconds for each. What they prove is the same, since a process that is killed loses nothing without fsync.
IN_MEMORY = $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 8000000 { print "TMPDIR=/dev/shm" }')
PYTEST = $(IN_MEMORY) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -o tmp_path_retention_policy=failed

# What takes over 0.15 s by itself is marked slow (CONTRIBUTING.md); the slowest tests are shown, so that one is not forgotten.
FAST = not slow and not postgres and not browser and not model

# One worker a core, each with one thread for torch: two workers that use two threads each slow each other down.
test-fast: $(VENV)/.installed ## quick unit tests, no database server, browser or real model: under 90 s, what one runs while working
	$(PYTEST) tests/unit --numprocesses 2 --dist loadfile --durations 10 --durations-min 0.15 -m "$(FAST)"

# In the order of the folders, whose first ones have the longest tests: xdist would take the files with most tests first, and
# so leave whole synchronisations to the end, where one worker runs them while the other one has nothing to do.
test: $(VENV)/.installed ## all tests
	$(PYTEST) --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 40

# A month of the daemon in 20 minutes, while everything around it fails; run again, it goes on where it was cut off.
soak: $(VENV)/.installed ## a month of the daemon in 20 minutes, among failures
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence soak --state $(SOAK)

# What a saboteur may do to a site, and what becomes of it; the search for culprits among 200 facts. Three minutes.
sabotage: $(VENV)/.installed ## what a saboteur may do to a site: three minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence sabotage

# Kills `kbsync sync` at every place and at random moments, on both databases: hours; run again, it goes on where it was cut off.
crash: $(VENV)/.installed ## kill a cycle everywhere and judge the next one: hours, goes on when run again
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence crash

# Eight processes that compete for the lease, some of which stall until it has run out.
contention: $(VENV)/.installed ## processes that compete for the lease: two minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence contention

# A vandal, a hostile endpoint, a database's owner, a flood of requests: what gets through. `--only PART` runs one part.
hardening: $(VENV)/.installed ## attack trust, answers, the ledger, secrets and the page
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence hardening

# A new user's walk: the commands of docs/tutorial/own-model.md from the wheel in an empty environment, to a promoted version.
newcomer: $(VENV)/.installed ## the commands of the tutorial, from the wheel, in an empty environment
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence newcomer

# Figures and the references of the command line and of the Python interface are generated.
docs: $(VENV)/.installed ## generate what is generated in the documentation: figures, references
	$(BIN)/python -m docs.generate.tables
	$(BIN)/python -m docs.generate.cli_reference > docs/reference/cli.md
	$(BIN)/python -m docs.generate.python_reference > docs/reference/python.md

# After a change of constraints.txt. uv asks the package index for the hashes of every file of a version, and lives apart.
lock: $(VENV)/.installed ## the lock files anew, with the hashes of what constraints.txt pins
	test -x .lock/bin/uv || ($(PYTHON) -m venv .lock && .lock/bin/pip install --quiet uv==0.13.9)
	.lock/bin/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--default-index https://pypi.org/simple constraints.txt | $(BIN)/python -m docs.generate.supply_chain lock

sbom: $(VENV)/.installed ## a bill of materials of what is installed (CycloneDX), in kbsync.cdx.json
	$(BIN)/python -m docs.generate.supply_chain sbom > kbsync.cdx.json

clean: ## remove the virtual environment, the state of the demonstration and build products
	rm -rf $(VENV) .lock kbsync.cdx.json $(STATE) build dist *.egg-info
