# Two commands do everything:  make run  (install, open the app)  and  make test  (install, check everything).
# Others: make help.

PYTHON ?=
PORT ?=
HOST ?=
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint bench load live requirements chromium clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 15

run: $(VENV)/.installed  ## install if needed, then open the app on 127.0.0.1:7860 (PORT=8000, HOST=0.0.0.0 change that)
	@exec $(BIN)/python app.py $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST))

test: chromium lint  ## install what tests need, then lint, types and all tests: exactly what .ci/run runs
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed-dev  ## ruff (rules and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.requirements_txt --check

bench: $(VENV)/.installed-dev chromium  ## measure: warm picture, cold command, page after make run, peak memory, edits
	$(BIN)/python -m tests.bench.bench

load: $(VENV)/.installed-dev  ## 20 requests of 5 clients at once, then 100 pictures: none lost, none mixed up, memory flat
	$(BIN)/python -m tests.bench.load

live: $(VENV)/.installed-dev  ## measure how often the Live tab paints
	$(BIN)/python -m tests.bench.live

requirements: $(VENV)/.installed-dev  ## write requirements.txt (for Spaces) from pyproject.toml
	$(BIN)/python -m tests.requirements_txt

clean:  ## remove what was built and measured; .venv and runs/ stay
	rm -rf build dist test-artifacts .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The stamps make a second `make run` start at once; a change of pyproject.toml installs again.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing Hearsight. PyTorch is about 5 GB, so the first time takes some minutes."
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

# Everything of the other stamp and the tools on top: nothing is downloaded twice.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing Hearsight and what its tests need. PyTorch is about 5 GB, so the first time takes some minutes."
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

# Python 3.11 first: it is what everything was tested with. Debian and Ubuntu keep venv in a package of its own.
$(BIN)/python:
	@python=""; \
	for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Hearsight needs Python 3.11 or newer: install it, for example: apt-get install python3" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  package=$$("$$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")'); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && { apt-get install -y -qq "$$package" || apt-get install -y -qq python3-venv; }; \
	  else echo "Python's venv is missing. Install it, then run make again: sudo apt-get install $$package" >&2; exit 1; fi; \
	fi; \
	rm -rf $(VENV); "$$python" -m venv $(VENV)

# The browser of the page's tests. Playwright only drives it and downloads none.
chromium:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing chromium for the tests of the page."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	else echo "The tests of the page need chromium. Install it, then run make again: sudo apt-get install chromium" >&2; exit 1; fi
