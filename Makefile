# What a person types. `make` alone lists the targets.
PYTHON ?= python3
# An empty value is as good as none.
override PORT := $(or $(PORT),8000)
override TMAX_STORE := $(or $(TMAX_STORE),store)
export TMAX_STORE

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help serve train test check format bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

serve: $(VENV)/installed-train ## train the embedded station if the store is empty, then serve on 127.0.0.1:$PORT
	@ls "$(TMAX_STORE)"/*/champion >/dev/null 2>&1 || $(BIN)/python -m scripts.train
	@exec $(BIN)/gunicorn 'app.web:create_app()' --bind 127.0.0.1:$(PORT)

train: $(VENV)/installed-train ## train and promote the embedded station
	$(BIN)/python -m scripts.train

test: $(VENV)/installed-test ## run every test
	$(BIN)/python -m pytest

check: $(VENV)/installed-test ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-test ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-bench ## the benchmark tables, beside the peers
	$(BIN)/python -m scripts.benchmark

# The four lists are cut from one resolution (the last one constrains the others), so that they agree in every version.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: $(VENV)/installed-test ## resolve the dependencies anew
	$(LOCK) --upgrade --all-extras --output-file $(VENV)/all.txt
	$(LOCK) --constraint $(VENV)/all.txt --output-file requirements.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --output-file requirements-train.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --extra test --output-file requirements-test.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --extra bench --output-file requirements-bench.txt

clean: ## remove the environment and the caches; the store stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each requirements file: what is installed is installed once, and the tests' list holds the training's.
$(VENV)/installed-test: requirements-test.txt | $(BIN)/pip
	$(INSTALL) -r $<
	@touch $(VENV)/installed-train $@

$(VENV)/installed-train $(VENV)/installed-bench: $(VENV)/installed-%: requirements-%.txt | $(BIN)/pip
	$(INSTALL) -r $<
	@touch $@

# pip is what a new environment gets last.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
