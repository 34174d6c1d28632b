# Canopy's front door. `make` lists what there is.
#
# Needs a POSIX shell and Python 3.11 or newer; everything else comes from hashed wheels into .venv.
# PYTHON=/path/to/python chooses the interpreter.

.POSIX:
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
REQUIREMENTS := requirements/dev.txt
# The stamp holds the digest of what was installed: a second run compares it and needs no network.
STAMP := $(VENV)/.installed
MANAGE := $(PY) manage.py
WORLDS ?= 50
SEED ?= 20260
CASES ?= 2000

.PHONY: help install setup demo serve stop test browser clients storage fuzz check leaks faults bench bench-full lock clean distclean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -e 's/:.*## /:/' | while IFS=: read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done

install: ## Install everything into .venv
	@./.ci/setup "$(VENV)" "$(REQUIREMENTS)" "$(STAMP)"

setup: install ## The same, and prepare the database
	@$(MANAGE) migrate --verbosity 0

# The demo prepares the database itself, if that is still to be done.
demo: install ## Load the demo, allocate and publish 13 months, serve (ARGS=--once: only show the table)
	@exec $(MANAGE) demo $(ARGS)

serve: setup ## Run worker and API server until Ctrl-C (ARGS="--port 8001")
	@exec $(MANAGE) serve $(ARGS)

stop: ## Stop the services and the embedded servers; data stay
	@if [ -x $(PY) ]; then $(MANAGE) servers stop; else echo "nothing is installed"; fi

test: install ## Run the tests (ARGS="-n 2 tests/carbon")
	@exec $(PY) -m pytest $(ARGS)

browser: install ## Test the admin in Chromium, which is installed if need be (CHROMIUM=/path names one)
	@./.ci/setup "$(VENV)" requirements/browser.txt "$(VENV)/.installed-browser"
	@CHROMIUM=$$(./.ci/chromium) && export CHROMIUM && exec $(PY) -m pytest tests/browser $(ARGS)

clients: install ## Test the API with clients and tools of others; Node.js is installed if need be
	@NODE=$$(./.ci/node "$(VENV)" tests/clients) && PATH="$$NODE:$$PATH" && export PATH && \
		exec $(PY) -m pytest tests/clients $(ARGS)

storage: install ## Test exports on a server that speaks S3
	@./.ci/setup "$(VENV)" requirements/storage.txt "$(VENV)/.installed-storage"
	@exec $(PY) -m pytest tests/storage $(ARGS)

fuzz: install ## Let Schemathesis and Clairvoyance look for faults (CASES=2000)
	@./.ci/setup "$(VENV)/fuzz" requirements/fuzz.txt "$(VENV)/fuzz/.installed"
	@CANOPY_FUZZERS=$(VENV)/fuzz/bin CANOPY_FUZZ_CASES=$(CASES) $(PY) -m pytest -s tests/fuzz $(ARGS)

check: install ## Lint, types, layers, missing migrations, schema snapshot
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) export_schema --check

leaks: install ## Compare every answer about 50 random worlds with the model (WORLDS=50 SEED=20260)
	@CANOPY_LEAK_WORLDS=$(WORLDS) CANOPY_LEAK_SEED=$(SEED) CANOPY_LEAK_REVOCATIONS=1000 CANOPY_LEAK_HISTORIES=40 \
		$(PY) -m pytest -q tests/security/test_oracle.py tests/security/test_history_machine.py \
		tests/security/test_stale_answers.py $(ARGS)

faults: install ## Kill everything a thousand times for each broker (ARGS="--broker redis --seed 1"; --short)
	@exec .ci/faults $(PY) $(ARGS)

bench: install ## Print the benchmark figures (ARGS as the command takes them)
	@exec $(PY) -m tests.benchmarks $(ARGS)

bench-full: install ## The same at full size: 10^7 rows a month, 100 000 accounts over 36 months (takes as long as it takes)
	@exec $(PY) -m tests.benchmarks --rows 100000 1000000 10000000 --accounts 100000 --groups 2000 --months 36 \
		--wide 20000 --seconds 60 $(ARGS)

.PHONY: mutants
mutants: install ## Change the engine line by line and see whether a test notices (ARGS="allocation.engine.linear*" or ARGS="--sample 1000")
	@./.ci/setup "$(VENV)" requirements/mutation.txt "$(VENV)/.installed-mutation"
	@$(VENV)/bin/python -m tests.mutation make
	@$(VENV)/bin/python -m tests.mutation try $(ARGS); $(VENV)/bin/python -m tests.mutation count

lock: install ## Compile requirements/*.in with hashes (needs the network)
	@for name in runtime dev browser clients storage fuzz mutation; do echo "compiling requirements/$$name.txt"; \
		$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
			requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean: ## Stop everything and delete data, logs and caches
	@if [ -x $(PY) ]; then $(MANAGE) servers remove; fi
	rm -rf .canopy .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants tests/clients/generated tests/fuzz/.schemathesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## The same, and delete .venv and node_modules
	rm -rf $(VENV) tests/clients/node_modules
