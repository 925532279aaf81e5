DATA ?= data/samples/webshop
OUT ?= reports

ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
endif

BIN := .venv/bin
# Named after what it was built from: another lock or another pyproject.toml means another name, and a fresh .venv.
READY := .venv/ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d ' ' -f 1)

# Compiled once, here; otherwise every kernel would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help report test lab check picture lock clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

report: $(READY)  ## the journey report of the sample webshop, in reports/ (DATA=… OUT=… for another)
	$(BIN)/journey report --data "$(DATA)" --out "$(OUT)"

test: $(READY)  ## every test: units, examples, simulations, notebooks, rendered pages (ARGS=… for pytest)
	$(BIN)/python -m pytest $(ARGS)

lab: $(READY)  ## JupyterLab in notebooks/ (ARGS=… for its options)
	$(BIN)/jupyter lab --notebook-dir notebooks $(ARGS)

check: $(READY)  ## before a commit: style, format, quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -m "not slow" tests toolkit

picture: report  ## the README's picture: the front page of the samples' report, seen in Chromium
	$(BIN)/python docs/picture.py

lock:  ## write requirements.lock anew from pyproject.toml (UPGRADE=1 takes the newest versions); needs uv
	@command -v uv >/dev/null || { echo "'make lock' needs uv: pip install uv" >&2; exit 1; }
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --quiet \
		--no-emit-index-url --no-header --no-annotate $(if $(UPGRADE),--upgrade) -o requirements.lock

clean:  ## remove .venv and caches; reports stay, the next one compares itself with them
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY):
	@version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) && [ -n "$$version" ] || { \
		echo "Python was not found as '$(PYTHON)'. Install Python 3.11 or newer, or name one: make … PYTHON=python3.12" >&2; exit 1; }; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "'$(PYTHON)' is Python $$version; 3.11 or newer is needed. Name another: make … PYTHON=python3.12" >&2; exit 1; }; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' lacks venv or ensurepip. On Debian and Ubuntu: apt-get install python$$version-venv" >&2; exit 1; }
	@echo "Making .venv from requirements.lock (once; two minutes or so)"
	@"$(PYTHON)" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check --quiet --disable-pip-version-check
	@touch $@
