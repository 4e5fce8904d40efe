.DEFAULT_GOAL := help
.PHONY: help install test check docs ci
BIN := .venv/bin

help:     ## List these targets
	@grep -E '^[a-z]+: +##' $(MAKEFILE_LIST) | sed 's/: *## /\t/' | expand -t 10

install:  ## Make .venv with fitdiag and everything for working on it
	python -m venv .venv
	$(BIN)/pip install -e ".[dev]" -c constraints.txt

test:     ## Run the tests on all cores
	$(BIN)/python -m pytest -n auto

check:    ## Format, lint, check types and layers
	$(BIN)/ruff format .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs:     ## Build the documentation site into site/
	$(BIN)/mkdocs build --strict

ci:       ## Run what CI runs, in fresh environments
	.ci/run
