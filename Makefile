# make check   lint, types, every test that ends within minutes, and two guests' boots (installs what they need)
# make e2e     boots whole guests; long
# make bench   speed and memory as ratios, medians of several runs
# make bless   rewrite the golden reports of the rule cases; read them afterwards
VENV ?= .venv
# Debian's own Python where it can make an environment: that is what the README promises to work with.
PYTHON ?= $(shell /usr/bin/python3.11 -c 'import ensurepip' 2>/dev/null && echo /usr/bin/python3.11 || echo python3)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: check lint types test boot e2e bench bless packages clean

check: packages $(STAMP)
	$(MAKE) --no-print-directory lint types test boot

packages:
	@sh tests/packages.sh

$(STAMP): pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,image]'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term:skip-covered

boot: $(STAMP)
	$(BIN)/python -m pytest -m boot --durations 0 tests/e2e

e2e: packages $(STAMP)
	$(BIN)/python -m pytest -m e2e tests

bench: packages $(STAMP)
	$(BIN)/python tests/bench/run.py

bless: $(STAMP)
	$(BIN)/guestfix test rules --bless

clean:
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
