# Two commands do everything: `make demo` runs one whole synchronisation, `make test` passes the tests.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STATE ?= demo-state
SOAK ?= soak-state
TEXT ?= $(wildcard ../shared/data/text)

.PHONY: demo test soak sabotage newcomer check docs clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/kbsync demo --state $(STATE) $(if $(TEXT),--text $(TEXT))

# One worker a core, each with one thread for torch: two workers that use two threads each slow each other down.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# A month of the daemon in 20 minutes, while everything around it fails; run again, it goes on where it was cut off.
soak: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence.soak --state $(SOAK)

# What a saboteur may do to a site, and what becomes of it; the search for culprits among 200 facts. Three minutes.
sabotage: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence.sabotage

# A new user's walk: the commands of docs/own-model.md from the wheel in an empty environment, to a promoted version.
newcomer: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.evidence.newcomer

# Figures and the command-line reference in the documentation are generated.
docs: $(VENV)/.installed
	$(BIN)/python -m docs.generate.tables
	$(BIN)/python -m docs.generate.cli_reference > docs/cli.md

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(STATE) build dist *.egg-info
