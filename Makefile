# stowplan: everything a developer does. `make` alone lists the targets.
#
# Each target sets up what it needs in .venv and never asks a question.
#   ARGS=…    more arguments for the program behind a target: make unit ARGS="-k lock"
#   PYTHON=…  another Python than the first that is 3.11 or newer

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
STAMP := $(VENV)/.installed
NOX := $(VENV)/bin/nox --non-interactive
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- the two commands of the README

.PHONY: demo
demo: $(STAMP) ## See it work: plan, lock, change, diff, apply, on a small project and a real engine
	@scripts/demo.sh

.PHONY: test
test: $(STAMP) ## Run all of the following, up to and including e2e
	@$(NOX) --session lint types
	@$(MAKE) --no-print-directory --jobs=2 --keep-going test-without-engines test-with-engines

# Side by side: tests on engines mostly wait for these. Not more than that: a daemon that one test starts and
# kills takes the network from containers of another.
.PHONY: test-without-engines test-with-engines
test-without-engines: $(STAMP)
	@mkdir -p .nox
	@status=0; $(NOX) --session wheel unit property >.nox/without-engines.log 2>&1 || status=$$?; \
	echo; cat .nox/without-engines.log; exit $$status
test-with-engines: $(STAMP)
	@$(NOX) --session contract e2e

# --- its parts

.PHONY: lint types wheel unit property contract e2e bench torture
lint: $(STAMP) ## Check style and formatting
types: $(STAMP) ## Check types
wheel: $(STAMP) ## Build the wheel, install it alone somewhere else, and use it there
unit: $(STAMP) ## Unit tests and golden files: no engine, no network
property: $(STAMP) ## Property tests
contract: $(STAMP) ## The contract of an engine, against every real engine
e2e: $(STAMP) ## The command line on real engines and registries
bench: $(STAMP) ## Measure, next to what everyone has: scandir, git status, sha256sum, tar
torture: $(STAMP) ## Kills, faults and hostile input at full length; ARGS="--seed 2 hostile" narrows it
lint types wheel unit property contract e2e bench torture:
	@$(NOX) --session $@ -- $(ARGS)

# --- while working

.PHONY: format
format: $(STAMP) ## Format the code and repair what can be repaired by itself
	$(VENV)/bin/ruff check --fix --quiet . || true
	$(VENV)/bin/ruff format .

.PHONY: golden
golden: $(STAMP) ## Write the golden files anew; review and commit what changes
	$(VENV)/bin/python -m pytest tests/unit/test_fixtures.py tests/unit/test_dockerfile_fixtures.py tests/unit/test_run_configuration_fixtures.py --update-golden $(ARGS)

.PHONY: still
still: $(STAMP) ## Draw the terminal of README.md anew, from what the commands print
	$(VENV)/bin/python -m pytest tests/e2e/test_docs.py -k still --update-golden $(ARGS)

.PHONY: engines-up
engines-up: ## Bring up the engines and registries that the tests use (as root)
	@scripts/engines.sh up

.PHONY: engines-down
engines-down: ## Stop what engines-up started
	@scripts/engines.sh down

.PHONY: clean
clean: ## Remove the environments, the caches and what was built
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache fixtures/.ruff_cache .pytest_cache .hypothesis .benchmarks build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up, once for each pyproject.toml

$(STAMP): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer on PATH. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; \
		exit 1; \
	fi
	@if ! $(VENV)/bin/python -c 'import pip' 2>/dev/null; then \
		set -e; \
		if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
			package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
			if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
				echo "$(PYTHON) cannot make environments. On Debian or Ubuntu: sudo apt-get install $$package" >&2; \
				exit 1; \
			fi; \
			echo "Installing $$package"; \
			export DEBIAN_FRONTEND=noninteractive; \
			apt-get update --quiet --quiet && apt-get install --quiet --quiet --yes --no-install-recommends "$$package" >/dev/null; \
		fi; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@echo "Installing stowplan and the tools of its tests in $(VENV)"
	@$(VENV)/bin/python -m pip install --quiet --no-input --use-pep517 --disable-pip-version-check --editable '.[test,lint]' 'nox>=2024.4.15'
	@touch $@
