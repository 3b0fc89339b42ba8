# make demo: train, sample and report on two Gaussians.   make test: the suite.   make test-all: every test.
# make bench: beside torch, in short.   make docs: the documentation as a site.
# Needs Python >= 3.11 and make; everything else is installed into .venv from requirements.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := $(VENV)/.bench
WORKERS ?= 2

QUICK := layers protocols schedules times predictions paths weights types costs judging metrics objectives denoisers scoring samplers \
	mixtures score_matching

.PHONY: demo test test-exhaustive test-all test-quick bench test-bench docs mutants lint lock clean help
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(READY)  ## the main job: distributional diffusion on two Gaussians, about 2 minutes on 2 cores
	$(BIN)/python -m experiments.two_gaussians --out runs/two_gaussians/demo --resume
	@echo "results: runs/two_gaussians/demo (open report.html)"

SUITE := -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(READY)  ## the test suite, about 20 minutes on 2 cores
	$(BIN)/python $(SUITE) -m "not exhaustive" --junitxml=runs/test-report.xml
	@echo "results: runs/test-report.xml"

test-exhaustive: $(READY)  ## the rows of long tables and the long runs that the suite leaves out
	$(BIN)/python $(SUITE) -m exhaustive --junitxml=runs/test-exhaustive-report.xml
	@echo "results: runs/test-exhaustive-report.xml"

test-all: test test-exhaustive  ## both

test-quick: $(READY)  ## the mathematics alone, for the developer's loop
	$(BIN)/python $(SUITE) -m "not slow and not bench and not exhaustive" \
		$(QUICK:%=tests/test_%.py)

bench: $(BENCH)  ## speed beside torch and others, the short form: a few minutes on 2 cores (adds torch to .venv)
	$(BIN)/python -m experiments.benchmark --suite all --short

test-bench: $(BENCH)  ## the tests that compare with torch, POT, geomloss and torchcfm
	$(BIN)/python -m pytest -m bench $$(grep -l "mark\.bench" tests/test_*.py) --junitxml=runs/test-bench-report.xml

docs: $(READY)  ## the documentation as a site, site/index.html: half a minute
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "results: site/index.html"

mutants: $(READY)  ## break the library in 12 places of each room, and list what its tests let through: about an hour
	$(BIN)/python tests/mutants.py --n 12

lint: $(READY)  ## ruff, style and format; pyright, types
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

lock: $(READY)  ## refresh requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --universal --generate-hashes --fork-strategy fewest --python-version 3.11 \
		pyproject.toml --extra data --extra dev --extra docs --extra export --extra log --extra notebooks -o requirements.txt

clean:  ## remove the environment (runs/ stays)
	rm -rf $(VENV)

# uv is the faster installer; plain pip reads the same lock when uv cannot be had.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "ddjax needs Python >= 3.11; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv"; exit 2; }
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -m pip install --quiet uv 2>/dev/null && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.txt; then :; \
	else $(BIN)/python -m pip install --quiet -r requirements.txt; fi
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

# The plain torch wheel for Linux brings gigabytes of CUDA. So: a wheel on disk that pip was told of; else uv, which finds the
# build for this machine (CPU or the GPU's CUDA); else whatever pip's index has. torchcfm without its dependencies: only its
# couplings are used, and they need torch and POT alone.
$(BENCH): $(READY) pyproject.toml
	$(BIN)/python -m pip install --quiet --no-index --no-deps "torch>=2.5" 2>/dev/null || \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend auto "torch>=2.5" || \
		$(BIN)/python -m pip install --quiet "torch>=2.5"
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m pip install --quiet --no-deps "torchcfm>=1.0"
	$(BIN)/python -c "import geomloss, ot, scoringrules, torch, torchcfm"
	@touch $@
