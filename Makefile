# What a person or CI runs; every target works on a bare machine with Python 3.11 or newer, make and git.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PROFILE ?= local

.DEFAULT_GOAL := help
.PHONY: help install dev test check bench lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# The stamp makes a warm start cheap: nothing is installed again until the lock or the project file changes.
$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "Installing from requirements.lock into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed ## Install everything into .venv from requirements.lock

dev: install ## Start the Dagster UI, the local clouds, the endpoints and the edge; Ctrl-C ends all of it
	@MCML_PROFILE=$(PROFILE) exec $(BIN)/mcml dev

test: install ## Run every check and test
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

check: install ## Lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

bench: install ## Measure against peers; writes build/bench/spine.json
	$(BIN)/python -m mcml_assets_tests.benchmarks.spine

lock: install ## Resolve requirements.lock again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --upgrade --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove what was built and what the local platform wrote; the environment stays
	rm -rf build .mcml
