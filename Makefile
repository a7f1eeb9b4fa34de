# Verbs for people; each sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRITON := $(VENV)/triton

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz triton check format serve clean

help: ## List the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## Create .venv with the pinned requirements

# in two steps: with digests all but torch, whose builds are many (requirements-torch.lock); it is not looked for in the first
$(READY): requirements.lock requirements-torch.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Espalier needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-torch.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Prune a small model end to end: service, job, mask, result table
	$(BIN)/python -m demo

test: $(READY) ## Run all tests
	OMP_WAIT_POLICY=PASSIVE TRITON_FOLDER="$(wildcard $(abspath $(TRITON)))" $(BIN)/python -m pytest

fuzz: $(READY) ## Feed 30 000 damaged inputs to admission and trainer (hours)
	$(BIN)/python -m tests.fuzz --inputs 30000

# in a folder of its own: torch and transformers import it wherever they find it, and all other tests do without
triton: $(READY) ## Fetch Triton (286 MB) for the tests of the GPU programs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(TRITON) --requirement requirements-triton.lock

check: $(READY) ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(READY) ## Keep the embedded service running on http://127.0.0.1:8000
	$(BIN)/espalier serve

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
