# make up     everything a newcomer needs: environment, database, model, the running fleet, and what to try
# make down   stop the fleet
# make test   every test            make lint    every check of the code
# make demo   the fleet at work     make bench   its speed against its limits
# make lock   renew the lock files  (OPTIONS=--upgrade for newer versions)

.PHONY: up down test lint demo bench lock environment browser
.DEFAULT_GOAL := up

export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11
RIGHT_VERSION := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
IN := .venv/bin
WORKERS ?= 4  # of the tests: two wait while two compute
BENCHMARKS ?= startup first_intent chat proxy audio spawn registry
LITELLM ?=  # a folder with a virtual environment that has litellm[proxy]: then benchmarks/proxy.py measures it in the same run

up: environment
	@$(IN)/python -m shub.prepare
	@$(IN)/vx11 up --detach

down: environment
	@$(IN)/vx11 down

test: environment browser
	$(IN)/python -m pytest -n $(WORKERS)

# Some tests look at pages with a real Chromium; where it can be neither found nor installed they are skipped by name.
browser:
	@for name in chromium chromium-browser google-chrome; do if command -v $$name >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium"; export DEBIAN_FRONTEND=noninteractive; \
		timeout 120 sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium' >/dev/null 2>&1 \
			|| echo "chromium cannot be installed here"; \
	fi

lint: environment
	$(IN)/ruff check
	$(IN)/ruff format --check
	$(IN)/mypy --strict
	$(IN)/lint-imports

demo: up
	@$(IN)/vx11 demo

bench: environment
	@status=0; for name in $(BENCHMARKS); do \
		echo "== $$name"; LITELLM="$(strip $(LITELLM))" $(IN)/python benchmarks/$$name.py || status=1; \
	done; exit $$status

lock: environment
	$(IN)/python -m vx11.lock renew $(OPTIONS)

environment:
	@$(IN)/python -m vx11.install --check 2>/dev/null || { \
		for python in $(CANDIDATES); do \
			if "$$python" -c '$(RIGHT_VERSION)' 2>/dev/null; then exec "$$python" -m vx11.install; fi; \
		done; \
		echo "VX11 needs Python 3.11, 3.12 or 3.13, and found none; name one with: make PYTHON=/path/to/python" >&2; exit 1; }
