# Unlatch. `make` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help setup setup-demo demo test check bench bench-web bench-device soak mutants docs pictures dashboard-pictures words lock device-bundle clean

BIN := .venv/bin
# Three workers, or as many as there is memory for: most machines have two cores, and some tests wait. Each worker runs
# a broker, a database and a browser of its own, in a gigabyte and a half.
# They take the files in our order (tests/support/order.py); xdist's begins with those that have the most tests.
WORKERS := $(shell awk '/^MemTotal/ { n = int($$2 / 1.5e6); print (n < 1 ? 1 : (n > 3 ? 3 : n)) }' /proc/meminfo)
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install everything that is missing (packages of Debian by apt, of Python into .venv, and of npm)
	@deploy/setup all

setup-demo:
	@deploy/setup demo

demo: setup-demo ## run the whole system here, ride once as a check, and stay up until Ctrl-C
	@$(BIN)/unlatch-sim up

test: setup ## run all tests, with real brokers, both databases and a browser
	@$(PYTEST)

check: setup ## run the linters, the type checker, the layer rules and the tests that need no server
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy broker device_agent session_service simulators tests docs
	$(BIN)/lint-imports
	$(PYTEST) -m "not server"

bench: setup-demo ## measure scan-to-unlock against its floor (3 minutes; writes build/bench/unlock.json)
	@$(BIN)/python -m simulators.bench

bench-web: setup ## measure the riders' pages on a slow phone, with Lighthouse, and the dashboard with 10,000 devices (6 minutes; writes to build/bench)
	@rider=0; $(BIN)/python -m simulators.bench_web || rider=$$?; $(BIN)/python -m simulators.bench_web.dashboard && exit $$rider

bench-device: setup-demo ## measure the agent: memory, processor, start, time to the pin, wear of the card (3 minutes; writes build/bench/device.json)
	@$(BIN)/python -m simulators.bench_device

soak: setup ## check the rules with many more histories, plant faults in them, and replay TRIPS=DIR, a folder of real trips
	UNLATCH_RULES_BATCHES=100 UNLATCH_RULES_FIRST=1000 $(PYTEST) tests/session_service/sessions/test_rules_machine.py
	$(BIN)/python -m tests.session_service.sessions.planted_faults
	UNLATCH_EVERY_POINT=1 $(PYTEST) tests/device_agent/drivers/test_killed_agent.py
	UNLATCH_EVERY_DATABASE=1 $(PYTEST) tests/session_service/web tests/session_service/riders tests/session_service/test_*.py \
	  tests/session_service/*/test_endpoints.py tests/session_service/operators tests/session_service/pki \
	  tests/session_service/commands tests/session_service/fleet tests/session_service/keys tests/session_service/ledger \
	  tests/end_to_end/test_faults.py tests/end_to_end/test_processes.py \
	  tests/end_to_end/test_demo.py tests/end_to_end/test_replay.py tests/browser/test_whole_way.py \
	  tests/browser/test_refusals.py \
	  tests/deploy/test_device_install.py \
	  tests/browser/test_dashboard_fleet.py tests/browser/test_dashboard_replay.py tests/browser/test_dashboard_device.py \
	  tests/browser/test_dashboard_visits.py tests/browser/test_dashboard_sessions.py tests/browser/test_dashboard.py \
	  --deselect tests/session_service/test_schemathesis.py
	UNLATCH_HOSTILE_DEEDS=10000 $(BIN)/pytest -q tests/hostile
	UNLATCH_EVERY_DATABASE=1 UNLATCH_FUZZ_EXAMPLES=200 $(PYTEST) tests/session_service/test_schemathesis.py
	UNLATCH_FUZZ_INPUTS=1000000 $(BIN)/pytest -q -s tests/fuzz
	@if [ -z "$(TRIPS)" ]; then echo "soak: no replay; name a folder of trips for it: make soak TRIPS=DIR"; else \
	UNLATCH_TRIPS="$(abspath $(TRIPS))" $(BIN)/pytest -q tests/end_to_end/test_rotation_under_load.py && \
	$(BIN)/unlatch-sim replay "$(TRIPS)" --trips 20000 --speed 3600 --out build/soak/report.json; fi

mutants: setup ## remove each guard of the code by itself, and see that a test fails for it (20 minutes)
	@$(BIN)/python -m tests.mutants

docs: setup-demo ## make the pages in docs/ again that are drawn from tables in the code
	@$(BIN)/python docs/diagrams.py
	@$(BIN)/python docs/access_page.py
	@$(BIN)/python docs/monitoring_page.py

pictures: setup ## take the pictures of every screen of the riders' pages again, and write docs/pages.md (2 minutes)
	@$(BIN)/python -m docs.pictures

dashboard-pictures: setup ## take the pictures of the dashboard from a city of 10,000 again, and write docs/dashboard.md (6 minutes)
	@$(BIN)/python -m docs.pictures_dashboard

words: setup-demo ## collect the texts of the riders' pages into the catalogues, for translation
	@$(BIN)/python -m session_service.web.make_words

lock: setup-demo ## resolve pyproject.toml anew into requirements.lock, with hashes
	@tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && python3 -m venv "$$tool" && \
	"$$tool/bin/pip" install -q --disable-pip-version-check uv && \
	"$$tool/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --all-extras -o requirements.lock pyproject.toml && \
	within() { "$$tool/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header -c requirements.lock -o "$$@"; } && \
	within deploy/device/requirements.lock deploy/device/pyproject.toml && \
	within deploy/server/requirements.lock --extra service --extra trace pyproject.toml && \
	printf 'hatchling\npip\n' | within deploy/device/tools.lock -

device-bundle: ## pack what a device is installed from, without a network there (27 MB; writes build/unlatch-device.tar)
	@deploy/device/bundle build/unlatch-device.tar

clean: ## remove what the targets made, except .venv and what came from npm
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
