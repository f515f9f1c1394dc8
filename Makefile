# make check   lint, types, every test that ends within minutes, and the boots of some guests (installs what they need)
# make e2e     boots whole guests, and writes docs/calibration.md and matrix.md of what was started; long, is gone on with
# make bench   speed and memory as ratios, medians of several runs
# make fuzz    every parser and editor for a minute each, its laws checked (FUZZ=10: ten seconds)
# make bless   rewrite the golden reports of the rule cases; read them afterwards
# make docs      the documentation as a site, in build/site
# make sdist, deb, rpm, image   packages, in build/packages (docs/packages.md)
# make reference   write docs/reference, docs/man and docs/completions: made of the tables, the rule pack and the parsers
export VENV ?= .venv
export WORKERS ?= 2
BIN := $(VENV)/bin
FUZZ ?= 60

.PHONY: sdist deb rpm image check lint types test boot e2e bench fuzz docs reference bless packages env clean

check:
	@sh tests/check.sh

packages:
	@sh tests/packages.sh >/dev/null

env: | packages
	@sh tests/venv.sh dev
	@sh tests/browser/setup.sh

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/mypy

test: env
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term:skip-covered

boot: env
	$(BIN)/python -m pytest -m boot --durations 0 tests/e2e

e2e: env
	$(BIN)/python -m pytest -m e2e tests; status=$$?; $(BIN)/python -m tests.e2e.calibration_results; $(BIN)/python -m tests.e2e.matrix_results; exit $$status

bench: env
	$(BIN)/python tests/bench/run.py

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q -f tests/build/site/mkdocs.yml

sdist deb rpm image:
	@sh docs/packaging/build.sh $@

reference: env
	$(BIN)/python -m tests.build.reference

fuzz: env
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ)

bless: env
	$(BIN)/guestfix test rules --bless

clean:
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
