# The commands of the README. Each installs what it needs into .venv, once.
#   make serve          the gateway with ONNX Runtime, on $PORT or 8000
#   make demo           the same with a real TorchServe and TensorFlow Serving beside it
#   make test           every check this machine can run
#   make bench          the gateway against what people would otherwise use
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve demo test lint bench build audit clean

serve: $(VENV)/.base
	exec $(BIN)/gateway serve

demo: $(VENV)/.demo
	exec $(BIN)/gateway up

test: $(VENV)/.all lint
	$(BIN)/python -m pytest

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Needs wrk on the PATH; installs each opponent into an environment of its own below .bench/.
bench: $(VENV)/.bench
	$(BIN)/python -m loadtests.bench $(BENCH)

# Makes the example's model folder anew: data, two trainings, exports, archive, card.
build: $(VENV)/.all
	$(BIN)/python -m serving build weight-change

# Asks an advisory service for the packages that `pip install .` brings; needs it to be reachable.
audit:
	rm -rf .audit && $(PYTHON) -m venv .audit/own && $(PYTHON) -m venv .audit/tool
	.audit/own/bin/python -m pip install --quiet .
	.audit/tool/bin/python -m pip install --quiet pip-audit
	.audit/tool/bin/pip-audit --strict --path "$$(.audit/own/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean:
	rm -rf $(VENV) .audit .bench build *.egg-info

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[torchserve,tfserving]'
	touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[torchserve,tfserving,loadtest]'
	touch $@

$(VENV)/.all: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[train,torchserve,tfserving,test]'
	touch $@
