# Everything runs from .venv, which these targets make by themselves. Nothing else is touched.
#
# A stamp inside .venv records what it holds. Its name carries a checksum of the lock, of
# pyproject.toml and of the checkout's path, so a changed lock or a copied folder installs again;
# it is written last, so an interrupted install leaves none.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
ENV_VENV := .venv-env
D4RL_VENV := .venv-d4rl
PY := $(VENV)/bin/python

# The first of these that really runs and is 3.11 to 3.13; 3.11 leads because the recordings and
# environment.yml are tested with it most. PYTHON=... replaces the list.
PYTHON ?=
PYTHON_CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3)
IS_FIT := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
DESCRIBE := import sys, importlib.util as u; print("Python %d.%d%s" % (*sys.version_info[:2], \
  "" if u.find_spec("ensurepip") else " without ensurepip (on Debian: python3-venv)"))

checksum = $(shell { cat $(1); pwd; } | cksum | cut -d ' ' -f 1)
CORE_STAMP := $(VENV)/.core-$(call checksum,core.lock pyproject.toml)
FULL_STAMP := $(VENV)/.full-$(call checksum,full.lock pyproject.toml)
ENV_STAMP := $(ENV_VENV)/.env-$(call checksum,environment.yml pyproject.toml)

# $(call make-venv,FOLDER): a fresh virtual environment, unless FOLDER holds one that is fit.
define make-venv
	@if ! $(1)/bin/python -c "import pip; $(IS_FIT)" 2>/dev/null; then \
	  for python in $(PYTHON_CANDIDATES); do \
	    if "$$python" -c "$(IS_FIT)" 2>/dev/null; then \
	      echo "Making $(1) with $$("$$python" --version) ($$python)"; \
	      exec "$$python" -m venv --clear $(1); \
	    fi; \
	    found="$${found:-}$${found:+, }$$python: $$("$$python" -c '$(DESCRIBE)' 2>/dev/null || echo "does not run")"; \
	  done; \
	  echo "error: mopo-tf2 needs Python 3.11, 3.12 or 3.13 with its venv module; found $$found. Install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi
endef

# $(call install-lock,LOCK): the pinned set, every file checked against its hash, then the
# checkout itself in editable mode. Two calls: pip refuses a hashed file beside "-e .".
# setuptools is in the lock, so the second call needs no network.
define install-lock
	@echo "Installing $(1) into $(VENV): $$(grep -c '==' $(1)) packages, 2 to 4 GB, a few minutes"
	@rm -f $(VENV)/.core-* $(VENV)/.full-*
	@$(PY) -m pip install --progress-bar off --require-hashes -r $(1) \
	  | awk '/^ *(Downloading|Using cached) .*[0-9][0-9]\.[0-9] MB\)/ {$$1 = "  " tolower($$1); print; fflush()}'
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
endef

.PHONY: help install demo test check parity mutations fuzz bench test-env test-d4rl lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: $(FULL_STAMP)  ## all that the tests and the tools need, into .venv

$(FULL_STAMP): | core.lock full.lock pyproject.toml
	$(call make-venv,$(VENV))
	$(call install-lock,full.lock)
	@touch $@

$(CORE_STAMP): | core.lock pyproject.toml
	$(call make-venv,$(VENV))
	$(call install-lock,core.lock)
	@touch $@

# A full install holds the core set too, at the same versions.
demo: $(or $(wildcard $(FULL_STAMP)),$(CORE_STAMP))  ## a short real training run and its pictures, from nothing
	@$(VENV)/bin/mopo-tf2 demo

test: check  ## check, every test, parity; what CI runs
	$(PY) -m pytest tests -n 2 --dist loadfile
	$(PY) -m parity

check: install  ## format, lint, import directions, types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) $(VENV)/bin/lint-imports
	$(PY) -m mypy

parity: install  ## compare with the recordings of the TF1 program
	$(PY) -m parity

fuzz: install  ## a thousand examples of bad input
	MOPO_TF2_FUZZ_EXAMPLES=1000 $(PY) -m pytest tests/robustness/test_bad_input.py

mutations: install  ## make every known mistake on purpose; each must be noticed
	$(PY) -m pytest tests/parity/test_mutations.py -m ""

bench: install  ## measure what is claimed to be fast
	$(PY) -m benchmarks

test-env: $(ENV_STAMP)  ## build environment.yml's pip section in a fresh venv and import the library in it
	$(ENV_VENV)/bin/python tests/tooling/check_environment.py $(ENV_VENV)/requirements.txt

$(ENV_STAMP): | $(FULL_STAMP) environment.yml
	@rm -rf $(ENV_VENV)
	$(call make-venv,$(ENV_VENV))
	@$(PY) tests/tooling/conda_pip_section.py environment.yml > $(ENV_VENV)/requirements.txt
	@echo "Installing the pip section of environment.yml into $(ENV_VENV): a few minutes"
	@$(ENV_VENV)/bin/python -m pip install --quiet -r $(ENV_VENV)/requirements.txt
	@touch $@

test-d4rl: install  ## compare our environments with the real d4rl, mujoco-py and MuJoCo 2.1.0
	$(PY) tests/d4rl_reference/build.py $(D4RL_VENV)
	$(D4RL_VENV)/bin/python -m pytest tests/d4rl_reference -p no:cacheprovider

# Only for whoever changes the dependencies: needs uv. No machine's own pip settings enter the lock.
UV_COMPILE := uv pip compile --quiet --universal --no-config --no-header --no-annotate \
  --generate-hashes --python-version 3.11 pyproject.toml

FULL_EXTRAS := tune minari wandb mlflow export dev

lock:  ## resolve core.lock and full.lock anew from pyproject.toml (needs uv)
	$(UV_COMPILE) $(LOCK_OPTIONS) $(addprefix --extra ,$(FULL_EXTRAS)) --output-file full.lock
	$(UV_COMPILE) $(LOCK_OPTIONS) --constraint full.lock --output-file core.lock

clean:  ## remove everything these targets made; runs/ stays
	rm -rf $(VENV) $(ENV_VENV) $(D4RL_VENV) build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find mopo_tf2 parity experiments benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
