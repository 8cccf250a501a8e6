# `make up` on a machine with nothing but Python 3.11 or newer. Every target makes the virtual environment it needs.

# Override to choose the interpreter: make up PYTHON=/opt/python3.13/bin/python3
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/sh

.DEFAULT_GOAL := help
.PHONY: help up test lint bench lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

up: ## Start everything: database, cache, gateway, worker. Ctrl-C stops it
	@tools/venv run "$(PYTHON)"
	@exec $(BIN)/python manage.py up

test: ## Run the tests
	@tools/venv dev "$(PYTHON)"
	@$(BIN)/python -m pytest $(ARGS)

# Django's settings want secrets; for reading the code any will do.
lint: export GATEHOUSE_SECRET_KEY = for-reading-the-code-only
lint: export GATEHOUSE_VAULT_KEYS = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
lint: ## Check style, types, spelling and migrations
	@tools/venv dev "$(PYTHON)"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/codespell
	$(BIN)/python -W ignore manage.py makemigrations --check --dry-run

bench: ## Measure the gateway, its peers and direct calls side by side
	@tools/venv dev "$(PYTHON)"
	@$(BIN)/python -m bench $(ARGS)

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header -p 3.11 -o requirements.lock
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-annotate --no-header -p 3.11 -o requirements-dev.lock

clean: ## Remove the virtual environment and caches; the data in .gatehouse stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
