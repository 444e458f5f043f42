# Everything here may be run again at any time: what is done already is not done twice.
.DEFAULT_GOAL := help
.PHONY: help setup demo-broker test-broker test-browser demo test chaos check bench screenshots kafka-up kafka-down up down test-compose lock clean

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
COMPOSE ?= docker compose
ARGS ?=
KAFKA_IMAGE := $(shell sed -n 's/^ *image: *//p' docker-compose.yml)

help: ## Show what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/compiled ## Make the virtual environment with the locked packages and Tapeline itself

.venv/created:
	@sh deploy/install-system-packages.sh python
	@echo "setup: making the virtual environment .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/locked: requirements.lock .venv/created
	@echo "setup: installing the packages of requirements.lock (about a minute)"
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@touch $@

.venv/installed: pyproject.toml .venv/locked
	@echo "setup: installing Tapeline in place"
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# else the first worker and the first market would do it, each while somebody waits
.venv/compiled: .venv/installed $(wildcard libs/tapeline/orderflow/*.py libs/tapeline/quality/tick_kernels/*.py) services/tapeline_simulator/exchange.py
	@echo "setup: compiling the kernels (about half a minute)"
	@$(BIN)/python -c "from tapeline_simulator.market import load_kernels; load_kernels()" & simulator=$$!; \
		$(BIN)/python -m tapeline_processor.kernels && wait $$simulator
	@touch $@

# a broker that the environment names needs no other
demo-broker:
	@[ -n "$$KAFKA_BOOTSTRAP_SERVERS" ] || sh deploy/install-system-packages.sh java

# tests take a container where a Docker engine has or gets the image
test-broker:
	@[ -n "$$KAFKA_BOOTSTRAP_SERVERS" ] || docker image inspect $(KAFKA_IMAGE) >/dev/null 2>&1 \
		|| docker pull --quiet $(KAFKA_IMAGE) 2>/dev/null || sh deploy/install-system-packages.sh java

# tests that want a browser skip without one, with the reason
test-browser:
	@sh deploy/install-system-packages.sh chromium || echo "test: no Chromium, so its tests are skipped" >&2

demo: setup demo-broker ## Show live pressure of a synthetic market (DEMO_SECONDS=30 to end by itself)
	@$(BIN)/tapeline demo

# most tests wait for processes and networks more than they compute
test: setup test-broker test-browser ## Run all tests against real brokers, in three processes (ARGS="-n 0 tests/unit -k book" for some)
	@echo "test: running pytest"
	@$(BIN)/pytest -n 3 --dist loadfile $(ARGS)

chaos: setup ## Do every fault to a whole installation, write .tapeline/chaos.json (ARGS="--list", ARGS="--only gateway")
	@sh deploy/install-system-packages.sh java
	@$(BIN)/python -m tests.chaos.matrix $(ARGS)

check: setup ## Check format, lint, types and the direction of imports
	@echo "check: ruff format"; $(BIN)/ruff format --check --quiet .
	@echo "check: ruff"; $(BIN)/ruff check --quiet .
	@echo "check: mypy"; $(BIN)/mypy
	@echo "check: import-linter"; $(BIN)/lint-imports

bench: setup demo-broker ## Measure, print the table, write .tapeline/bench.json
	@$(BIN)/python tests/bench/run.py

screenshots: setup test-browser ## Take the pictures of the page that the README shows
	@$(BIN)/python tests/integration/watchdog/screenshots.py

kafka-up: setup ## Start the local broker (Maven artifacts, no Docker)
	@sh deploy/install-system-packages.sh java
	@$(BIN)/tapeline kafka up

kafka-down: setup ## Stop the local broker; its data stays
	@$(BIN)/tapeline kafka down

up: ## Start the broker of docker-compose.yml
	@docker version --format '{{.Server.Version}}' >/dev/null 2>&1 \
		|| { echo "no Docker engine answers; \`make kafka-up\` starts the same broker without one" >&2; exit 2; }
	@$(COMPOSE) up --detach

down: ## Stop the broker of docker-compose.yml; its volume stays
	@$(COMPOSE) down

test-compose: setup ## Run the demo against the broker of docker-compose.yml
	@$(BIN)/pytest tests/e2e/test_compose.py

lock: setup ## Renew requirements.lock after a change of pyproject.toml
	@$(BIN)/uv pip compile --quiet pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-emit-package tapeline --output-file requirements.lock
	@echo "lock: requirements.lock holds what pyproject.toml asks for"

clean: ## Stop the local broker; remove its data, the virtual environment and every cache
	@[ ! -x $(BIN)/tapeline ] || $(BIN)/tapeline kafka down
	rm -rf .venv .tapeline .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find libs services tests -name __pycache__ -type d -prune -exec rm -rf {} +
