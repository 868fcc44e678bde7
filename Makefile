# make demo | test | lint | nightly | clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TEST_EXTRAS := tf,study,dev
BENCHMARKS := $(sort $(wildcard benchmarks/*.py))
# Two workers suit two cores: the libraries under test start threads of their own.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test lint nightly clean

help:
	@echo "make demo     install sfopt into $(VENV) and run its demonstration (no TensorFlow)"
	@echo "make test     install the test dependencies as well and run the tests"
	@echo "make lint     ruff, mypy and the import contracts"
	@echo "make nightly  the tests marked nightly and the benchmark scripts"
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

test: $(VENV)/.tests-installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.tests-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

nightly: $(VENV)/.tests-installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m nightly
	set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
