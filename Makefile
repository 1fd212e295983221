# Everything needs only Python >= 3.10 and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Some images set it; the tests start hundreds of interpreters, and each would compile the package.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-page lint lint-page types docs bench bench-peers guard soak contract clickhouse pythons floors platforms instrument-versions frameworks producers otel-backends clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.installed  ## run the example agent and print its session
	@$(BIN)/python examples/quickstart.py
	@echo
	@$(BIN)/sessiontrace sessions show last

# Two processes run what computes, and then, file by file, what starts programs or shares a browser;
# the store server's tests are alone. A test that fails beside another process runs once more alone,
# and that counts.
PARALLEL := tests/unit tests/property tests/contract tests/server tests/clients tests/field
BY_FILE := tests/process tests/faults tests/browser
test: $(VENV)/.installed-dev  ## all tests, or those that TESTS names
ifdef TESTS
	@$(BIN)/python -m pytest $(TESTS)
else
	@$(BIN)/python -m pytest -n 2 $(PARALLEL) \
	  || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(PARALLEL)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(BY_FILE) \
	  || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(BY_FILE)
	@$(BIN)/python -m pytest tests $(PARALLEL:%=--ignore %) $(BY_FILE:%=--ignore %)
endif

lint: $(VENV)/.installed-dev  ## style and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

node_modules/.installed: package.json
	@npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

lint-page: node_modules/.installed  ## style and types of the page's JavaScript
	@npm run --silent lint

test-page: node_modules/.installed  ## unit tests of the page's JavaScript
	@npm test --silent

types: $(VENV)/.installed-dev  ## static types
	@$(BIN)/mypy

docs: $(VENV)/.installed-docs  ## the documentation site, strictly, into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

soak: $(VENV)/.installed-dev  ## two minutes of every kind of trouble; SOAK="--seconds 7200 --seed 7"
	@$(BIN)/python tools/soak.py $(or $(SOAK),--ci)

bench: $(VENV)/.installed-dev  ## that all benchmarks run; BENCH=full measures, into benchmarks/RESULTS.md
	@$(BIN)/python benchmarks/suite.py $(if $(filter full,$(BENCH)),--full)

guard: $(VENV)/.installed-dev  ## instructions of capture and export against the baseline; GUARD="--against main"
	@$(BIN)/python benchmarks/guard.py $(GUARD)

bench-peers: $(VENV)/.installed-dev  ## ours beside other SDKs, each in an environment of its own
	@$(BIN)/python benchmarks/environments.py
	@$(BIN)/python benchmarks/compare.py --json benchmarks/results/compare.json
	@$(BIN)/python benchmarks/report.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "sessiontrace needs Python 3.10 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/bin/uv: $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check attrs uv

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml hatch_build.py $(wildcard sessiontrace/*/_*_c.p* sessiontrace/*/*/_*_c.p*)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

$(VENV)/.installed-contract: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group contract
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

contract: $(VENV)/.installed-contract  ## the packages of others that tests run against

$(VENV)/.installed-clickhouse: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group clickhouse
	@touch $@

clickhouse: $(VENV)/.installed-clickhouse  ## ClickHouse's engine, for the tests of the store in it

pythons: $(VENV)/.installed  ## environments of the other Pythons here, for the tests' programs
	@$(BIN)/python tools/pythons.py $(PYTHONS)

floors: $(VENV)/.installed-dev  ## the tests with the lowest versions of all dependencies, on the oldest Python
	@$(BIN)/python tools/floors.py

# The spool's tests under rules that are not this machine's.
SPOOL_TESTS := tests/unit/spool tests/unit/export/test_dead_letters.py tests/faults/test_spool_faults.py \
  tests/faults/test_spool_state_machine.py
platforms: $(VENV)/.installed-dev  ## the spool under the rules of macOS's and Windows' file systems
	@for rules in macos ntfs; do \
	  $(BIN)/python -m pytest -q -n 2 -p no:cacheprovider --file-system $$rules $(SPOOL_TESTS) || exit 1; done

.PHONY: wheels
wheels: $(VENV)/bin/uv  ## all wheels and the source distribution, into dist; WHEELS="--no-tests"
	@$(BIN)/python tools/wheels.py $(WHEELS)

.PHONY: wheel-speed
wheel-speed: $(VENV)/bin/uv  ## machine code of each wheel of dist beside a local build; where it differs, instructions
	@$(BIN)/python benchmarks/wheel_speed.py $(WHEEL_SPEED)

.PHONY: install-commands
install-commands: $(VENV)/bin/uv  ## every way to install that the docs name, from wheels on loopback
	@$(BIN)/python tools/install_commands.py

.PHONY: windows
windows: $(VENV)/.installed-dev  ## a CPython for Windows under Wine: the quickstart, a kill and an adoption
	@$(BIN)/python tools/windows.py

.PHONY: debian-python
debian-python: $(VENV)/.installed  ## the tests on the Python of Debian unstable, in a chroot; needs root; TESTS names them
	@$(BIN)/python tools/debian_python.py $(TESTS)

.PHONY: dependencies
dependencies: $(VENV)/.installed-dev  ## size and known faults of the dependencies, and what they fit beside
	@$(BIN)/python tools/dependencies.py $(DEPENDENCIES)

.PHONY: package
package: $(VENV)/.installed-dev  ## the distributions: metadata, contents, types, what editors show, workflows
	@$(BIN)/python tools/package_checks.py

instrument-versions: $(VENV)/.installed-dev  ## instrumented libraries, oldest and newest; LIBRARIES="openai groq"
	@$(BIN)/python tools/instrument_versions.py $(LIBRARIES)

frameworks: $(VENV)/.installed-dev  ## instrumented frameworks, each group in its pinned environment; LIBRARIES="crewai"
	@$(BIN)/python tools/instrument_versions.py --locked $(LIBRARIES)

producers: $(VENV)/.installed-dev  ## other tracers' real packages against a server; PROGRAMS="langfuse_python", RECORD=--record
	@PYTHONPATH=tests $(BIN)/python tools/producers.py $(RECORD) $(PROGRAMS)

otel-backends: $(VENV)/.installed-dev  ## one agent in Phoenix and MLflow, through us and two other SDKs
	@$(BIN)/python tools/otel_backends.py $(OTEL_BACKENDS)

clean:  ## remove what the above made
	rm -rf $(VENV) node_modules benchmarks/.peers build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
