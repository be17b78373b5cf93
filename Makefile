# make demo   make a virtual environment, install, and run the main job
# make test   the same environment with the test extras; lint, types, import rules, tests, doctests, examples, docs
# make docs   build the documentation into docs/_build/html, warnings as errors
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint types imports pytest docs docs-build clean

demo: $(VENV)/.installed
	$(BIN)/meshlearn demo --folder demo

test: $(VENV)/.installed-test
	$(MAKE) lint types imports pytest docs-build

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports
	$(BIN)/python -W error -c "import meshlearn"

pytest:
	$(BIN)/python -m pytest -n 2 --durations=15 tests
	$(BIN)/python -m pytest -n 2 --doctest-modules meshlearn

docs: $(VENV)/.installed-test docs-build

docs-build:
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'meshlearn needs Python 3.11 or newer: make PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) -e ".[test]"
	@touch $@

clean:
	rm -rf $(VENV) demo docs/_build docs/api/generated
