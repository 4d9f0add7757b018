# Needs make and Python 3.11 or newer, nothing else: the environment is made in .venv.
#   make demo     sandbox and daemon together, orders driven to their targets
#   make test     lint, types and all tests
#   make quick    the tests that take seconds, while you write
#   make bench    measurements
#   make chaos    kills, faults, people and clocks against the daemon; a calm follows the storm of CHAOS_SECONDS.
#                 CHAOS_KILLS is a maximum; CHAOS_ORDERS, CHAOS_SEED (docs/guarantees.md)
#   make install  the command, as .venv/bin/fulfilld
#   make lock     requirements/*.lock anew, after pyproject.toml changed; LOCK_ARGS=--upgrade for newer versions
#   make help     this
# PYTHON=… picks the interpreter, PYTEST_ARGS=… narrows the tests.

PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3; do \
	"$$candidate" -c 'import ensurepip, sys, venv; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo "$$candidate" && break; done)
PYTEST_ARGS ?=
LOCK_ARGS ?=
LOCK := requirements/test.lock
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: help demo test quick lint check bench chaos install lock
.DEFAULT_GOAL := test

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: .venv/installed
	@$(BIN)/fulfilld demo

test: lint check

check: .venv/installed-for-tests
	@$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

quick: .venv/installed-for-tests
	@$(BIN)/python -m pytest -q -m "not hypothesis" tests/statemachines tests/decisions tests/config tests/storage $(PYTEST_ARGS)

lint: .venv/installed-for-tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: .venv/installed-for-tests
	@$(BIN)/python -m benchmarks.run
	@$(BIN)/python -m benchmarks.rest
	@$(BIN)/python -m benchmarks.webhooks

chaos: .venv/installed-for-tests
	@$(BIN)/python -m tests.chaos

install: .venv/installed
	@echo "installed: $(CURDIR)/$(BIN)/fulfilld"

# uv reads no configuration of pip, so no constraint or index of this machine gets into a lock.
lock:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found" >&2; exit 1; }
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; $(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check -qq install 'uv>=0.9,<1'; \
	compile() { "$$tools/bin/uv" --no-config --quiet pip compile --universal --python-version 3.11 --group build \
	--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(LOCK_ARGS) pyproject.toml "$$@"; }; \
	compile --extra test --output-file $(LOCK); \
	compile --constraint $(LOCK) --output-file requirements/run.lock

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found: install one" \
	"(Debian: apt-get install python3 python3-venv) or name it, make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "fulfilld needs Python 3.11 or newer")'
	@echo "making .venv with $(PYTHON)"
	@$(PYTHON) -m venv --clear .venv

# Stamps: what is installed is as new as the list of what is needed.
.venv/installed: pyproject.toml | .venv/pyvenv.cfg
	@echo "installing fulfilld"
	@$(PIP) install --editable .
	@touch $@

# Tests, lint and CI run on exactly what the lock names, the build backend included. It holds what the command needs too.
.venv/installed-for-tests: pyproject.toml $(LOCK) | .venv/pyvenv.cfg
	@echo "installing what the tests need, as locked in $(LOCK)"
	@$(PIP) install --require-hashes --requirement $(LOCK)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch .venv/installed $@
