PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
BENCHMARKS = lstm_step fit_epoch profile_epoch allocator many_trials enqueueing sharing storage runs_through_ray \
  two_workers makespan three_nodes

.PHONY: run test torture bench clean

run: $(VENV)/installed ## the quickstart study, in minutes
	$(BIN)/phasetune run configs/quickstart.yaml

test: $(VENV)/installed-dev ## lint, types, import contract, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not ray and not torture"
	$(BIN)/python -m pytest -m "ray and not torture"

torture: $(VENV)/installed-dev ## kills, crashes, full disks, damaged files, bad input
	$(BIN)/python -m pytest -n auto --dist load -m "torture and not ray"
	$(BIN)/python -m pytest -m "torture and ray"

bench: $(VENV)/installed-dev ## measurements, side by side; about an hour
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

clean: ## forget the environment, not the results
	rm -rf $(VENV) build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable ".[dev]"
	touch $@ $(VENV)/installed
