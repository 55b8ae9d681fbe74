# Everything a developer or a CI job does with OmniX. `make help` lists it.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin
STAMP := .venv/.made
PROTOS := $(shell find protos -name '*.proto')
PACKAGES := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
PORT ?= 8080
PYTEST_ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## Make .venv from the lock file, with `omnix` in it

$(STAMP): uv.lock pyproject.toml libs/protos/build_stubs.py $(PACKAGES) $(PROTOS) | $(UV)
	UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --frozen --all-packages --quiet --python $(PYTHON)
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.PHONY: up
up: setup ## Run the whole suite in the foreground (PORT=8080)
	$(BIN)/omnix up --port $(PORT)

.PHONY: test
test: setup ## Run every test that this machine can run (PYTEST_ARGS="-k stream")
	$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: lint
lint: setup ## Check style, import rules and proto rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/proto_rules.py

.PHONY: format
format: setup ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: setup ## Check types
	$(BIN)/mypy $(filter-out libs/protos/src,$(wildcard libs/*/src services/*/src examples/*/src)) tests scripts
	@# The packages' tests share module names, such as conftest, so each folder is a run of its own.
	set -e; for tests in $(wildcard libs/*/tests services/*/tests examples/*/tests); do $(BIN)/mypy $$tests; done

.PHONY: contracts
contracts: setup ## Write down the contracts as they are now, after adding to them
	$(BIN)/python scripts/proto_rules.py --record

.PHONY: chaos
chaos: setup ## Run the long chaos test: 2,000 calls under random kills
	OMNIX_CHAOS_CALLS=2000 $(BIN)/pytest tests/chaos -m suite --timeout 3600 -s

.PHONY: bench
bench: setup ## Measure against LiteLLM and Portkey, and the adapters (BENCH_ARGS=--adapters)
	cd tests && ../$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: clean
clean: ## Remove what was built, and the data of `make up`
	-@test ! -x $(BIN)/omnix || $(BIN)/omnix down
	rm -rf .venv .tools .omnix .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis libs/protos/src dist
