# Verbs for people; each sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRITON := $(VENV)/triton

# also where the environment says otherwise: tests start hundreds of processes, each of which would compile all modules again
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-exhaustive test-fast coverage fuzz triton check format serve lock docs dist release clean

help: ## List the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## Create .venv with the pinned requirements

$(READY): requirements.lock requirements-torch.lock pyproject.toml scripts/set_up.py
	@$(PYTHON) scripts/set_up.py $(VENV)
	@touch $@

# .ready may lie in an environment whose interpreter is gone since
ifneq ($(shell $(BIN)/python -c 1 2>/dev/null && echo works),works)
.PHONY: $(READY)
endif

demo: $(READY) ## Prune a small model end to end: service, job, mask, result table
	$(BIN)/python -m demo

# each process has a database of its own; the tests of a file stay together, for their fixtures; files come in the order of
# tests/conftest.py, the longest first
SPREAD := --dist loadfile --no-loadscope-reorder
# more processes than cores: tests that start processes wait for about half of their time
PROCESSES ?= $(shell n=$$(nproc); echo $$((n < 4 ? n + 2 : 6)))
TEST_ALL = OMP_WAIT_POLICY=PASSIVE TRITON_FOLDER="$(wildcard $(abspath $(TRITON)))" $(BIN)/python -m pytest -n $(PROCESSES) $(SPREAD)

test: $(READY) ## Run all tests
	$(TEST_ALL)

test-exhaustive: $(READY) ## Run all tests with every case of every grid
	$(TEST_ALL) --exhaustive

test-fast: $(READY) ## Run the tests that need no process, no service and no minute
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 $(SPREAD) --fast

coverage: $(READY) ## Run all tests, and say which lines and branches they run; as pages in build/coverage/html
	mkdir -p build/coverage
	$(BIN)/coverage erase
	$(subst -m pytest,-m coverage run -m pytest,$(TEST_ALL))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report

fuzz: $(READY) ## Feed 30 000 damaged inputs to admission and trainer, and many requests to the API (hours)
	$(BIN)/python -m tests.fuzz --inputs 30000
	$(BIN)/python -m tests.api.fuzz --examples 500

# in a folder of its own: torch and transformers import it wherever they find it, and all other tests do without
triton: $(READY) ## Fetch Triton (286 MB) for the tests of the GPU programs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(TRITON) --requirement requirements-triton.lock

check: $(READY) ## Lint, types, import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/codespell

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(READY) ## Keep the embedded service running on http://127.0.0.1:8000
	$(BIN)/espalier serve

lock: $(READY) ## Write requirements.lock from pyproject.toml
	$(BIN)/python -m scripts.lock

docs: $(READY) ## Build the documentation as a site into build/docs; dead links are errors
	$(BIN)/sphinx-build -q -a -E -n -W --keep-going -c docs/site -d build/doctrees docs build/docs

dist: $(READY) ## Build wheel and source distribution into dist/, and try them in clean environments
	rm -rf dist
	$(BIN)/python -m scripts.build_distributions dist
	$(BIN)/python -m scripts.check_distributions dist

release: $(READY) ## Tag a version, unless something is not clean
	$(BIN)/python -m scripts.release

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
