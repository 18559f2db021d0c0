# The commands of the repository. `make` alone lists them.
PYTHON ?= python3
# An empty value counts as none.
override PORT := $(or $(PORT),8000)
override TMAX_STORE := $(or $(TMAX_STORE),store)
export TMAX_STORE

VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
STEPS := models/nn/steps.sha256
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help serve train test check format bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

serve: $(VENV)/installed-train $(STEPS) ## train the embedded station if the store is empty, then serve on 127.0.0.1:$PORT
	@ls "$(TMAX_STORE)"/[a-z0-9]*/champion >/dev/null 2>&1 || $(BIN)/python -m scripts.train
	@exec $(BIN)/gunicorn 'app.web:create_app()' --bind 127.0.0.1:$(PORT)

train: $(VENV)/installed-train $(STEPS) ## train and promote the embedded station
	$(BIN)/python -m scripts.train

test: export OPENBLAS_NUM_THREADS := 1
test: $(VENV)/installed-test $(STEPS) ## run every test, on all cores
	$(BIN)/python -m pytest --numprocesses auto

check: $(VENV)/installed-test ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror models/nn/steps.c
	$(BIN)/mypy

format: $(VENV)/installed-test ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i models/nn/steps.c

bench: $(BENCH)/installed $(STEPS) ## the benchmark tables, beside the peers (WEATHER=clean_weather.csv adds the study)
	@$(BENCH)/bin/python -m scripts.bench.networks $(if $(WEATHER),--weather $(WEATHER))
	@$(BENCH)/bin/python -m scripts.bench.retraining

# PyTorch is added to the benchmark's list by hand: resolving it would add gigabytes for graphics cards. The hash is that
# of the CPU build for Linux on x86-64 and Python 3.11; no other build can be installed.
TORCH := torch==2.13.0 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
# The lists are cut from one resolution, which constrains them all, so that they agree in every version.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header
serve_EXTRAS :=
train_EXTRAS := --extra train
dask_EXTRAS := $(train_EXTRAS) --extra dask
test_EXTRAS := $(dask_EXTRAS) --extra test
bench_EXTRAS := $(dask_EXTRAS) --extra bench
lock: $(VENV)/installed-test ## resolve the dependencies again, to their newest versions
	$(LOCK) --upgrade --all-extras --output-file $(VENV)/all.txt
	$(foreach list,serve train dask test bench,\
	  $(LOCK) --constraint $(VENV)/all.txt $($(list)_EXTRAS) --output-file requirements/$(list).txt &&) true
	@sed -i '/^    #   -c /d' requirements/*.txt
	@printf '%s \\\n    --hash=sha256:%s\n' $(TORCH) >> requirements/bench.txt

clean: ## remove the environment and the caches; the store stays
	rm -rf $(VENV) $(BENCH) $(STEPS) $(SO) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The networks' steps in C; without a compiler NumPy computes them, more slowly. The library is replaced, never
# overwritten: a running server may have it open. The digests of source and library keep a stale or truncated library
# from being loaded. A library compiled on one x86-64 processor runs on all: it chooses its code when it is loaded.
CFLAGS := -O3 -std=gnu11 -fPIC -fno-math-errno -fno-trapping-math
KINDS := plain $(if $(filter x86_64,$(shell uname -m)),v3 v4)
plain_FLAGS :=
v3_FLAGS := -march=x86-64-v3 -DKIND=v3
v4_FLAGS := -march=x86-64-v4 -mprefer-vector-width=512 -DKIND=v4
SO := $(STEPS:.sha256=.so)
$(STEPS): models/nn/steps.c
	@$(foreach kind,$(KINDS),$(CC) $(CFLAGS) $($(kind)_FLAGS) -c $< -o $(SO).$(kind).o &&) \
	  $(CC) -shared $(KINDS:%=$(SO).%.o) -o $(SO).new && rm $(KINDS:%=$(SO).%.o) && mv $(SO).new $(SO) && \
	  (cd $(@D) && { sha256sum steps.c steps.so 2>/dev/null || shasum -a 256 steps.c steps.so; } > $(@F)) || \
	  { rm -f $(SO).* $@; echo "$(CC) could not compile models/nn/steps.c: the networks run on NumPy alone, more slowly." >&2; }

# A stamp for each list that is installed; the tests' list includes the training's.
$(VENV)/installed-test: requirements/test.txt | $(BIN)/pip
	$(BIN)/python $(INSTALL) -r $<
	@touch $(VENV)/installed-train $@

$(VENV)/installed-train: requirements/train.txt | $(BIN)/pip
	$(BIN)/python $(INSTALL) -r $<
	@touch $@

# The benchmark has its own environment. PyTorch, last in the list, may fail to install; the tables then leave it out.
$(BENCH)/installed: requirements/bench.txt | $(BENCH)/bin/pip
	@sed '/^torch==/,$$d' $< > $(BENCH)/without-torch.txt
	$(BENCH)/bin/python $(INSTALL) -r $(BENCH)/without-torch.txt
	-$(BENCH)/bin/python $(INSTALL) -r $<
	@touch $@

# pip is the last thing that a new environment gets.
$(BIN)/pip $(BENCH)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(@:/bin/pip=) || { rm -rf $(@:/bin/pip=); exit 1; }
