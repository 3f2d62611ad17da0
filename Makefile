# The commands of the README. Each installs what it needs into .venv, once.
#   make serve          the gateway with ONNX Runtime, on $PORT or 8000
#   make demo           the same with a real TorchServe and TensorFlow Serving beside it
#   make test           every check this machine can run
#   make compare        the backends side by side: comparison.html, and what follows from it
#   make bench          the gateway against what people would otherwise use
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve demo environment test together containers alone lint compare bench build audit clean

serve: $(VENV)/.base
	exec $(BIN)/gateway serve

demo: $(VENV)/.demo
	exec $(BIN)/gateway up

environment: $(VENV)/.all

# Two tests at a time, and beside them the linters and the containers, which mostly wait; then the
# tests that need the machine to themselves.
test: $(VENV)/.all
	failed=0; $(MAKE) --jobs=3 lint together containers || failed=1; $(MAKE) alone || failed=1; exit $$failed

alone: $(VENV)/.all
	$(BIN)/python -m pytest -m alone tests/chaos tests/gateway tests/loadtests

together: $(VENV)/.all
	$(BIN)/python -m pytest -m 'not alone' -n 2 --no-loadscope-reorder --ignore=tests/compose

containers: $(VENV)/.all
	$(BIN)/python -m pytest tests/compose

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Starts TorchServe, TensorFlow Serving and the gateway on free ports and stops them afterwards;
# about eight minutes, with the installation.
compare: $(VENV)/.compare
	$(BIN)/gateway compare --up --locust 5 --report comparison.html --json comparison.json --markdown comparison.md $(COMPARE)

# Needs wrk on the PATH; installs each opponent into an environment of its own below .bench/.
bench: $(VENV)/.bench
	$(BIN)/python -m loadtests.bench --json bench.json --markdown bench.md $(BENCH)

# Makes the examples' model folders anew: data, trainings, exports, archives, cards.
build: $(VENV)/.all
	$(BIN)/python -m serving build weight-change
	$(BIN)/python -m serving build digit-three

# Asks an advisory service for the packages that `pip install .` brings; needs it to be reachable.
audit:
	rm -rf .audit && $(PYTHON) -m venv .audit/own && $(PYTHON) -m venv .audit/tool
	.audit/own/bin/python -m pip install --quiet .
	.audit/tool/bin/python -m pip install --quiet pip-audit
	.audit/tool/bin/pip-audit --strict --path "$$(.audit/own/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean:
	rm -rf $(VENV) .audit .bench build comparison.* bench.json bench.md experiments pipeline *.egg-info

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[torchserve,tfserving]'
	touch $@

$(VENV)/.compare: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[torchserve,tfserving,compare,loadtest]'
	touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[torchserve,tfserving,loadtest]'
	touch $@

$(VENV)/.all: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[train,torchserve,tfserving,test]'
	touch $@
