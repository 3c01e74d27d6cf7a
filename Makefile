# Everything a person types. `make` alone lists it.
#   make demo SEED=1 RUN=runs/second      make test ARGS='-k mixture'      make install PYTHON=python3.12

PYTHON ?= python3
SEED ?= 0
RUN ?= runs/demo
ARGS ?=
# Processes that test, each with its share of the cores; one more is 1 to 2 GB of memory.
TESTERS ?= logical --maxprocesses 4

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo play test lint format clean

help:
	@echo "make demo      set up, train a small car-racing world model from nothing, score it, write its report"
	@echo "make play      set up, step inside the dream of a model that comes along, or of RUN, in the browser"
	@echo "make test      set up, run the tests"
	@echo "make lint      ruff and pyright"
	@echo "make format    let ruff format and mend what it can"
	@echo "make install   set up .venv only (every target above does it when needed)"
	@echo "make clean     remove .venv and caches; runs/ stays"

install: $(STAMP)

# The stamp is written last: an interrupted installation is taken up again by the next call.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) not found. worldmodels needs Python 3.11 or newer; name one with: make install PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "worldmodels needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with: make install PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV): about 60 packages, 1 to 5 minutes (longer where PyTorch comes with CUDA, about 3 GB)."
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Ready: $(BIN)/worldmodels --help"

demo: install
	$(BIN)/worldmodels train car-racing --preset demo --run "$(RUN)" --seed $(SEED)
	@echo "Open in a browser: $$(cd "$(RUN)" && pwd)/report.html"

# Without RUN=... on the command line there may be no run yet: then the released model is played.
play: install
	$(BIN)/worldmodels play "$(if $(filter command line,$(origin RUN)),$(RUN),pretrained:car-racing-demo)"

test: install
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './runs/*' -prune -exec rm -rf {} +
