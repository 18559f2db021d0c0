# What a person types. `make` alone lists the targets.
PYTHON ?= python3
# An empty value is as good as none.
override PORT := $(or $(PORT),8000)
override TMAX_STORE := $(or $(TMAX_STORE),store)
export TMAX_STORE

VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
STEPS := models/nn/steps.so
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help serve train test check format bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

serve: $(VENV)/installed-train $(STEPS) ## train the embedded station if the store is empty, then serve on 127.0.0.1:$PORT
	@ls "$(TMAX_STORE)"/*/champion >/dev/null 2>&1 || $(BIN)/python -m scripts.train
	@exec $(BIN)/gunicorn 'app.web:create_app()' --bind 127.0.0.1:$(PORT)

train: $(VENV)/installed-train $(STEPS) ## train and promote the embedded station
	$(BIN)/python -m scripts.train

test: $(VENV)/installed-test $(STEPS) ## run every test
	$(BIN)/python -m pytest

check: $(VENV)/installed-test ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-test ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH)/installed $(STEPS) ## the benchmark tables, beside the peers (WEATHER=clean_weather.csv adds the study)
	@$(BENCH)/bin/python -m scripts.benchmark $(if $(WEATHER),--weather $(WEATHER))
	@$(BENCH)/bin/python -m scripts.benchmark_retrain

# PyTorch ends the benchmark's list by hand: a resolution would add gigabytes for graphics cards. The hash is that of the
# CPU build for Linux on x86-64 and Python 3.11, so that no other can be installed.
TORCH := torch==2.13.0 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
# The six lists are cut from one resolution (the last one constrains the others), so that they agree in every version.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: $(VENV)/installed-test ## resolve the dependencies anew
	$(LOCK) --upgrade --all-extras --output-file $(VENV)/all.txt
	$(LOCK) --constraint $(VENV)/all.txt --output-file requirements.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --output-file requirements-train.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --extra dask --output-file requirements-dask.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --extra ray --output-file requirements-ray.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --extra dask --extra test --output-file requirements-test.txt
	$(LOCK) --constraint $(VENV)/all.txt --extra train --extra dask --extra bench --output-file requirements-bench.txt
	@sed -i '/^    #   -c /d' requirements*.txt
	@printf '%s \\\n    --hash=sha256:%s\n' $(TORCH) >> requirements-bench.txt

clean: ## remove the environment and the caches; the store stays
	rm -rf $(VENV) $(BENCH) $(STEPS) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The steps of the networks in C, where there is a compiler; elsewhere NumPy takes them, more slowly. A running server may
# have the old file open, so it is replaced, never written to.
# What is compiled on one x86-64 runs on all: the processor's kind is asked for when the library is loaded.
CFLAGS := -O3 -std=gnu11 -fPIC -fno-math-errno -fno-trapping-math
KINDS := plain $(if $(filter x86_64,$(shell uname -m)),v3 v4)
plain_FLAGS :=
v3_FLAGS := -march=x86-64-v3 -DKIND=v3
v4_FLAGS := -march=x86-64-v4 -mprefer-vector-width=512 -DKIND=v4
$(STEPS): models/nn/steps.c
	@$(foreach kind,$(KINDS),$(CC) $(CFLAGS) $($(kind)_FLAGS) -c $< -o $@.$(kind).o &&) \
	  $(CC) -shared $(KINDS:%=$@.%.o) -o $@.new && rm $(KINDS:%=$@.%.o) && mv $@.new $@ || \
	  { rm -f $@.*; echo "Not compiled (by $(CC)): the networks run on NumPy alone, more slowly." >&2; }

# One stamp for each requirements file: what is installed is installed once, and the tests' list holds the training's.
$(VENV)/installed-test: requirements-test.txt | $(BIN)/pip
	$(BIN)/python $(INSTALL) -r $<
	@touch $(VENV)/installed-train $@

$(VENV)/installed-train: requirements-train.txt | $(BIN)/pip
	$(BIN)/python $(INSTALL) -r $<
	@touch $@

# An environment of its own. PyTorch, last on the list, may be missing: the tables say so.
$(BENCH)/installed: requirements-bench.txt | $(BENCH)/bin/pip
	@sed '/^torch==/,$$d' $< > $(BENCH)/without-torch.txt
	$(BENCH)/bin/python $(INSTALL) -r $(BENCH)/without-torch.txt
	-$(BENCH)/bin/python $(INSTALL) -r $<
	@touch $@

# pip is what a new environment gets last.
$(BIN)/pip $(BENCH)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(@:/bin/pip=) || { rm -rf $(@:/bin/pip=); exit 1; }
