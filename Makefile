# `make demo` needs nothing but Python >= 3.11, Node.js with npm, and make; `make test` also a Chromium.
# Everything is installed into .venv; the networks are fetched on first use.

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11, \
	$(if $(shell $(p) -c 'import sys; print(1) if sys.version_info >= (3, 11) else None' 2>/dev/null),$(p))))
VENV := .venv
BIN := $(VENV)/bin
NODE := extension/node_modules
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test test-all test-slow test-leaks check format clean

help:
	@echo "make demo    protect a photo and show the result in demo/"
	@echo "make test    run the tests but the slow ones"
	@echo "make test-all run all tests"
	@echo "make test-leaks  what arrives at a site, by document and way: a table"
	@echo "make check   lint, format and types"
	@echo "make format  put the code into the project's format"
	@echo "make clean   remove all that make has made here (the networks' cache stays)"

demo: $(VENV)/.installed
	$(BIN)/clip2protect demo -o demo

# Two processes compute, up to 2.7 GB each, and one drives browsers: `make test PROCESSES=1` where memory is short.
PROCESSES ?= 3
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES)

test test-slow test-all test-leaks: $(VENV)/.installed-dev $(VENV)/.browser $(NODE)/.installed

test:
	$(BIN)/clip2protect models pull
	$(PYTEST) -m "not slow"

test-slow:
	$(BIN)/clip2protect models pull
	$(PYTEST) -m slow

test-all:
	$(BIN)/clip2protect models pull
	$(PYTEST)

test-leaks:
	$(PYTEST) tests/extension/test_leaks.py

check: $(VENV)/.installed-dev $(NODE)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npm --prefix extension test

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(NODE) demo build dist extension/dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find engines export server tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last: what an interrupted attempt left half done is done again.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 was found: install one, or name it with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

# The page and the extension are tested in real browsers; root on Debian gets them here, anybody else is told how by the
# tests.  Firefox may be missing, or Xvfb, without which it copies no pictures: these tests are then skipped.
$(VENV)/.browser: $(VENV)/.made
	@have() { for b in "$$@"; do if [ -n "$$b" ] && command -v "$$b" >/dev/null; then return; fi; done; false; }; need=; \
	have "$$CHROMIUM" /usr/lib/chromium/chromium chromium chromium-browser google-chrome || need="chromium"; \
	have firefox-esr firefox || need="$$need firefox-esr"; \
	have Xvfb || need="$$need xvfb"; \
	if [ -n "$$need" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q; \
		for package in $$need; do apt-get install -y -q --no-install-recommends $$package || true; done; fi
	touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.made
	$(PIP) install -e '.[cpu]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.made
	$(PIP) install -e '.[cpu,dev]'
	touch $@ $(VENV)/.installed

# The tools that check and pack the extension; the extension itself needs none.
$(NODE)/.installed: extension/package.json
	npm install --prefix extension --no-package-lock --no-audit --no-fund
	touch $@
