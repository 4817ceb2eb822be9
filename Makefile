SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
PYTEST := $(PY) -m pytest
READY  := $(VENV)/.ready
SOAK_KILLS   ?= 100
SOAK_MINUTES ?= 22
SOAK_REPORT  ?= build/soak/report.md
SOAK_EVENTS  ?= 60
SOAK_DELIVERIES ?= 12
EVENTS_REPORT ?= build/soak/events-report.md
CHAT_FAULTS  ?= 100
CHAT_TALKS   ?= 20
CHAT_REPORT  ?= build/soak/chat-report.md
CHAOS_SEED   ?= 1

# Makes "make check" run one step, and say what to do when it is red. $(1) title, $(2) command, $(3) advice.
define step
@printf '\n== %s\n' '$(1)'; $(2) || { printf '\n%s is red. %s\n' '$(1)' '$(3)' >&2; exit 1; }
endef

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9%-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  %-22s %s\n", $$1, $$2}'

# --- the environment -------------------------------------------------------------------------------------------

.PHONY: install
install: $(READY) ## Set up .venv from the pinned, hashed requirements (every other target does this itself)

# uv with pip's settings: index, certificates, proxies.
UV      = $(PY) -P activities/adapters/packages/pip_settings.py $(BIN)/uv
UV_HERE = --quiet --no-config --python $(PY) --link-mode copy
UV_PIN  = awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.txt

# The stamp is written last: an interrupted installation is repeated, a finished one is skipped.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "This needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Install one and name it: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "== setting up $(VENV) (only now, and when requirements.txt or pyproject.toml change)"
	@# Packages of an interrupted installation look whole and are not; they go once others can be had.
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv --clear $(VENV); \
	elif [ -e $(VENV)/.installing ]; then \
	  $(UV_PIN) > $(VENV)/.uv.txt && $(PY) -m pip download -qq --disable-pip-version-check --require-hashes --no-deps \
	    -d $(VENV)/.fetched -r $(VENV)/.uv.txt || { \
	    echo "The last installation was interrupted, and packages cannot be fetched now; $(VENV) is left as it is." >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV); fi
	@$(UV_PIN) > $(VENV)/.uv.txt
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/.uv.txt
	@touch $(VENV)/.installing
	@# Constraints without hashes are refused, and say nothing here.
	@UV_CONSTRAINT= $(UV) pip install $(UV_HERE) --compile-bytecode --require-hashes -r requirements.txt
	@$(UV) pip install $(UV_HERE) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installing $(VENV)/.uv.txt
	@touch $@

.PHONY: lock
lock: $(READY) ## Resolve requirements.txt again after a change of dependencies in pyproject.toml
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --all-extras pyproject.toml requirements.in -o requirements.txt
	@# What the image needs: without the tools of development and the embedded servers, with the same versions.
	@echo hatchling | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --no-emit-find-links --extra telemetry --constraints requirements.txt \
	  pyproject.toml - -o requirements-image.txt
	@! grep -n '://' requirements.txt requirements-image.txt || { echo "the locks must not name a host" >&2; exit 1; }

.PHONY: lock-agents
lock-agents: $(READY) ## Resolve the packages of the agents' programs again, after a change of agent_programs.py
	@$(PY) -m activities.adapters.containers.images.agent_locks infra/images/agents/locks
	@! grep -rn '://' infra/images/agents/locks || { echo "the locks must not name a host" >&2; exit 1; }

# --- the product -----------------------------------------------------------------------------------------------

# DOCKER=install (or CI=true) installs Docker Engine and the base image first; otherwise what is there is used.
demo up down: export ORCHESTRATOR_HOME ?= $(CURDIR)/.orchestrator

.PHONY: demo up down
demo: export WISH ?=
demo: export CHAT ?=
demo: $(READY) engine ## One sentence to a live URL on this machine (WISH="..." for your own, CHAT=1 to talk to the bot), in containers where Docker answers
	@$(BIN)/orchestrator demo $${CHAT:+--chat} $${WISH:+"$$WISH"}

up: $(READY) engine ## Start the platform in the foreground of this terminal
	@$(BIN)/orchestrator up

down: $(READY) ## Stop what "up" or "demo" started
	@$(BIN)/orchestrator down

.PHONY: docker
docker: ## Check for a Docker Engine and its base image (DOCKER=install installs both, on Debian and as root)
	@infra/docker/ensure_docker.sh
	@infra/docker/ensure_base_image.sh
	@[ ! -x $(PY) ] || $(PY) -m activities.adapters.servers.container

# --- checks ----------------------------------------------------------------------------------------------------

.PHONY: check check-quick hooks fmt
check: check-quick ## Format, lint, import rules, contracts, fingerprints, types; edits nothing
	$(call step,Types,$(PY) -m mypy,Fix the types instead of silencing them; an ignore needs its reason beside it.)
	@printf '\nAll checks are green.\n'

check-quick: $(READY) ## The checks that take seconds: all but the types
	$(call step,Format,$(PY) -m ruff format --check --quiet .,Run: make fmt)
	$(call step,Lint,$(PY) -m ruff check --quiet .,Fix what it names; "make fmt" repairs the mechanical part.)
	$(call step,Import rules,$(BIN)/lint-imports --no-cache,Move the code to the layer that may know it: docs/contracts.md has the table.)
	$(call step,JSON Schemas,$(PY) -m contracts.schema_export --check,Run: $(PY) -m contracts.schema_export --write  and commit the result.)
	$(call step,Contract compatibility,$(PY) -m contracts.schema_export --compat,Contracts only grow: docs/contracts.md says how to change one.)
	$(call step,Workflow fingerprints,$(PY) -m tests.replay.fingerprints --check,See the text above: patch; or record a golden history; then --write.)

hooks: $(READY) ## Have git run the quick checks before each commit (.pre-commit-config.yaml)
	@$(BIN)/pre-commit install

fmt: $(READY) ## Format the code and repair what the linter can repair
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

# --- tests -----------------------------------------------------------------------------------------------------

BUSY ?=
PART ?=
SELECT ?= not deep
SUITES := test-unit test-contracts test-workflow test-replay test-integration test-platform
PLATFORM := test-chat test-e2e test-chaos test-secrets test-compose

.PHONY: test test-deep test-deep-status $(SUITES) $(PLATFORM)
test: $(READY) engine chromium restic ## The gate: everything that is certain (tests/budget.toml; BUSY=2 keeps two processes busy meanwhile)
	@$(PY) -m tests.gate test $(if $(BUSY),--busy $(BUSY))

test-unit: ## Pure code
test-contracts: ## Messages, schemas, older producers, import rules
test-workflow: ## Workflows on a real Temporal server
test-replay: ## Golden histories under today's code
test-integration: ## Parts against the real outside: PostgreSQL, git, processes, containers, Ansible
test-platform: ## The next five, in two lanes
$(SUITES): $(READY) engine chromium restic
	@$(PY) -m tests.gate test $(@:test-%=%) $(if $(BUSY),--busy $(BUSY))

test-chat: ## The Telegram bot against the emulator of the Bot API (SELECT=deep for what the gate leaves out; also below)
test-e2e: ## The command line, HTTP, the browser
test-chaos: ## Parts are killed at named points; effects are counted from outside
test-secrets: ## Search for planted secrets in every place of a run
test-compose: ## docker-compose.yml from nothing to a URL
$(PLATFORM): $(READY) engine chromium
	$(PYTEST) tests/$(@:test-%=%) -m "$(SELECT)"

test-%-unit: $(READY) ## One package's unit tests, such as test-api-unit
	$(PYTEST) tests/unit/$*

test-%-integration: $(READY) engine restic ## One package against its real outside, such as test-bot-integration
	$(PYTEST) tests/integration/$* -m "$(SELECT)"

test-deep: $(READY) engine chromium restic ## All points, sides and combinations, hours (PART="NAME …" for some; CHAOS_SEED)
	@$(PY) -m tests.gate deep $(PART)

test-deep-status: $(READY) ## Which parts of test-deep were green for the files as they are now
	@$(PY) -m tests.gate status $(PART)

.PHONY: test-live
test-live: $(READY) engine ## FOR MONEY: a small wish by each agent whose vendor's key is set, against the real vendor (LIVE_BUDGET_USD, LIVE_AGENTS, LIVE_WISH)
	@$(PY) -m tests.live

# In CI containers are required; elsewhere their tests say why they skip, and the product works with processes.
.PHONY: engine
engine:
	@if [ "$${CI:-}" = true ] || [ "$${DOCKER:-}" = install ]; then \
	  infra/docker/ensure_docker.sh && infra/docker/ensure_base_image.sh; fi
	@if [ "$${CI:-}" = true ] && ! command -v docker-compose >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null; fi

# In CI a skipped test is a failure (tests/conftest.py), so CI installs the browser; elsewhere its tests say why they skip.
.PHONY: chromium
chromium:
	@if ! command -v chromium >/dev/null; then \
	  if [ "$${CI:-}" = true ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	  else echo "NOTE: no chromium here, so the browser tests will be SKIPPED. On Debian: apt-get install chromium"; fi; fi

# The program that keeps backups. RESTIC=install (or CI=true) installs Debian's; without it backups say how to get it.
.PHONY: restic
restic:
	@if ! command -v restic >/dev/null; then \
	  if [ "$${CI:-}" = true ] || [ "$${RESTIC:-}" = install ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends restic >/dev/null; \
	  else echo "NOTE: no restic here, so the tests of backups will be SKIPPED. On Debian: make restic RESTIC=install"; fi; fi

.PHONY: soak bench
soak: $(READY) engine ## SOAK_KILLS (100) random kills, SOAK_EVENTS (60) of a script, then CHAT_FAULTS (100) over CHAT_TALKS (20) conversations, by CHAOS_SEED (1)
	$(PY) -m tests.soak.run --kills $(SOAK_KILLS) --minutes $(SOAK_MINUTES) --seed $(CHAOS_SEED) --report $(SOAK_REPORT)
	$(PY) -m tests.soak.events_run --events $(SOAK_EVENTS) --deliveries $(SOAK_DELIVERIES) --seed $(CHAOS_SEED) --report $(EVENTS_REPORT)
	$(PY) -m tests.soak.chat_run --faults $(CHAT_FAULTS) --conversations $(CHAT_TALKS) --seed $(CHAOS_SEED) --report $(CHAT_REPORT)

BENCH_PAGE ?=
bench: $(READY) ## Benchmarks, about 25 minutes (BENCH_PAGE=docs/performance.md renews that page)
	$(PY) -m benchmarks $(if $(BENCH_PAGE),--markdown $(BENCH_PAGE))
