# Two commands do everything on a fresh machine: `make run` and `make test`.
# For GNU make 3.81 and newer (macOS has 3.81) and any POSIX shell.

# The first of these that is new enough; `make run PYTHON=/path/to/python3.12` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo "$$python" && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# Processes that run tests side by side; many more than cores, and tests that measure time fail.
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest -n $(TEST_PROCESSES) \
	--cov --cov-append --cov-report= --cov-fail-under=0

.DEFAULT_GOAL := help
.PHONY: help run test browser judges faults soak bench check fix lock messages clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# `exec`: Ctrl-C and `kill` reach the program itself. The demo's inbox is on loopback, which is
# allowed only while DISPATCHER_ALLOWED_NETWORKS is unset: empty means that nothing is.
run: $(VENV)/run ## Start everything in one process, with a demo (PORT, DISPATCHER_DATA_DIR)
	@export DISPATCHER_ALLOWED_NETWORKS="$${DISPATCHER_ALLOWED_NETWORKS-127.0.0.1/32}"; \
	exec $(BIN)/python manage.py up

test: $(VENV)/dev ## Run all tests, on SQLite and then on PostgreSQL and Redis
	@rm -f .coverage .coverage.*
	@echo "== SQLite, and all that needs no database"
	@env -u TEST_DATABASE_URL -u TEST_REDIS_URL $(PYTEST)
	@echo "== PostgreSQL and Redis"
	@$(BIN)/python -m tests.servers $(PYTEST)
	@$(BIN)/coverage report

browser: $(VENV)/dev ## Look at the pages in a Chromium, as people do; fails without one
	@BROWSER_TESTS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) tests/browser

judges: ## Install verifiers from npm, which `make test` then asks too (needs Node.js)
	cd tests/judges && npm ci --no-audit --no-fund

faults: $(VENV)/dev ## Break everything, one thing at a time; half an hour (ONLY=F1,F9 for some)
	@$(BIN)/python -m tests.faults $(if $(ONLY),--only $(ONLY)) --write docs/reference/faults.md

soak: $(VENV)/dev ## Half an hour of steady load: does anything grow? (MINUTES=5)
	@$(BIN)/python -m tests.faults.soak $(if $(MINUTES),--minutes $(MINUTES))

bench: $(VENV)/dev ## Measure how fast it is; two hours (CASE=sending, QUICK=1, ROWS=, PUBLISH=1)
	@$(BIN)/python -m bench $(if $(CASE),--case $(CASE)) $(if $(QUICK),--quick) \
		$(if $(ROWS),--rows $(ROWS)) $(if $(PUBLISH),--publish)

check: $(VENV)/dev ## Check format, lint, types, imports, migrations, API document, locks, vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --settings tests.settings --check --dry-run
	$(BIN)/python manage.py spectacular --settings tests.settings --validate --fail-on-warn \
		| cmp - docs/reference/openapi.yaml
	$(BIN)/python requirements/lock.py --check
	$(BIN)/python requirements/audit.py

fix: $(VENV)/dev ## Format, and repair what the linter can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev ## Pin requirements/*.in again (UPGRADE=1 takes the newest versions)
	$(BIN)/python requirements/lock.py $(if $(UPGRADE),--upgrade)

messages: $(VENV)/dev ## Collect what pages say, and compile its Japanese
	@$(BIN)/python -m tests.messages

clean: ## Remove the virtual environment and what the tools wrote; keeps var/, the data
	rm -rf $(VENV) .coverage .coverage.* htmlcov .hypothesis .import_linter_cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache

# ---- The virtual environment: each file below is touched when its step is done ------------------

$(VENV)/made:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and $(or $(PYTHON),python3) is not that." \
			"Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/run: requirements/run.txt $(VENV)/made
	@echo "Installing what the dispatcher needs into $(VENV) (once, about half a minute) ..."
	$(PIP_INSTALL) -r requirements/run.txt
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/made
	@echo "Installing what tests and checks need into $(VENV) (once, about a minute) ..."
	$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@ $(VENV)/run
