# Two commands matter: `make run` does the main job, `make test` passes the tests. Everything they need they install
# into .venv, from lock files with hashes.

PYTHON ?= python3
ARGS ?=
UV_VERSION := 0.13.9
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help setup run test check format generate lock bench bench-ledger bench-operator simulate cluster cluster-down drill test-versions test-postgres

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "llm-governance needs Python 3.11 or newer, \
	and $(PYTHON) is %d.%d; say which one to use: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.setup: requirements.lock pyproject.toml | $(UV)
	@echo "Installing what local mode needs (requirements.lock)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --editable .
	@touch $@

.venv/.setup-dev: requirements-dev.lock .venv/.setup
	@echo "Installing what the tests need (requirements-dev.lock)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

setup: .venv/.setup ## Make .venv with everything local mode needs

run: setup ## Govern real SDK traffic with examples/01-quickstart (ARGS=--once: play it and stop)
	@$(BIN)/llmgov local examples/01-quickstart --play $(ARGS)

test: check ## Run every check and test; ends with what this machine could not run
	@sh tests/support/install.sh
	@$(BIN)/python -m tests.cluster.binary
	@$(BIN)/pytest -n auto --dist loadgroup

test-versions: .venv/.setup-dev ## Test the cluster's part on the oldest supported Kubernetes and the newest; 10 to 20 minutes once both are built
	@$(BIN)/python -m tests.cluster.versions $(VERSIONS)

drill: .venv/.setup-dev ## Kill and stop the operator's leader ten times while policies change
	@LLMGOV_DRILL=10 $(BIN)/pytest -q -s tests/cluster/test_takeover.py

cluster: .venv/.setup-dev ## Start Kubernetes, operator and quickstart under .cluster/ and leave them running (needs Go, once)
	@$(BIN)/python -m tests.cluster.keep up

cluster-down: .venv/.setup-dev ## End what `make cluster` started
	@$(BIN)/python -m tests.cluster.keep down

test-postgres: .venv/.setup-dev ## Test the ledger on other PostgreSQLs (VERSIONS="16 17"; PGBIN=folder); ends within ten minutes
	@timeout 600 $(BIN)/python -m tests.support.postgres_versions -n auto --dist loadgroup \
	  $(if $(PGBIN),--programs $(PGBIN),$(VERSIONS:%=--version %)) $(ARGS)

check: .venv/.setup-dev ## Formatting, lint, types, import contracts, stale generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH= $(BIN)/lint-imports --no-logo
	@$(BIN)/llmgov crds --check
	@$(BIN)/python -m llmgov_cli.reference --check

format: .venv/.setup-dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: .venv/.setup ## Write crds/ and docs/resources.md from the models
	@$(BIN)/llmgov crds
	@$(BIN)/python -m llmgov_cli.reference

bench: .venv/.setup-dev ## Measure compiler, content filter and proxy (docs/benchmarks.md); ends within six minutes
	@timeout 60 $(BIN)/python -m tests.bench.bench_compiler
	@timeout 60 $(BIN)/python -m tests.bench.bench_content
	@timeout 240 $(BIN)/python -m tests.bench.bench_proxy $(or $(ROUNDS),2)

bench-ledger: .venv/.setup-dev ## Measure the ledger on a PostgreSQL of its own (docs/benchmarks.md); ends within three minutes
	@timeout 180 $(BIN)/python -m tests.bench.bench_ledger $(PARTS)

bench-operator: .venv/.setup-dev ## Measure the operator on a control plane of its own (SIZE=0.1; needs Go, once); ends within 15 minutes
	@$(BIN)/python -m tests.cluster.binary
	@timeout --foreground 900 $(BIN)/python -m tests.bench.bench_operator $(SIZE)

simulate: .venv/.setup-dev ## Run the ledger's simulator (docs/simulator.md): make simulate SEEDS=10000 FROM=2000 JOBS=4
	@$(BIN)/python -m tests.simulator --seeds $(or $(SEEDS),2000) --from $(or $(FROM),0) --jobs $(or $(JOBS),2)

lock: | $(UV) ## Make the lock files anew
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --extra local pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --extra local --extra operator --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
