# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
SOAK ?= 200
SOAKED := torn_writes damaged_runs resume rollback data_pictures data_limits platforms explore_api printed_commands
KILLS ?= 20
LOWEST := $(VENV)-lowest
RELEASE := $(VENV)-release
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: demo test soak lowest lint docs bench release clean

demo: $(READY)
	$(RUN) -m simulacra demo
	$(RUN) -m simulacra explore runs/demo

# mypy runs beside the tests: it takes one core for most of a minute
test: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy & types=$$!; $(RUN) -m pytest; tests=$$?; wait $$types && exit $$tests

# power cuts, damaged files, kills, odd pictures and requests by the hundred, of random seeds: SOAK=1000 runs more; and kills under torchrun
soak: $(READY)
	SIMULACRA_SOAK=$(SOAK) $(RUN) -m pytest $(patsubst %,tests/test_%.py,$(SOAKED))
	$(RUN) benchmarks/restarts.py --kills $(KILLS)

# the tests with the lowest versions that pyproject.toml allows (docs/versions.md)
lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --extra dev pyproject.toml -o $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LOWEST)/lowest.txt -e '.[dev]'
	$(LOWEST)/bin/python -m pytest

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# the documentation as a site
docs: $(READY)
	$(RUN) scripts/site.py build/docs

bench: $(READY)
	$(RUN) benchmarks/prepare.py
	$(RUN) benchmarks/step.py
	$(RUN) benchmarks/features.py

# uv reads none of pip's settings (an index, a folder of wheels), so it is used only where pip has none; like uv, pip
# leaves compiling to the first import, as most modules are never imported
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "simulacra needs Python 3.11 or newer, which $(PYTHON) is not. Name another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@if command -v uv >/dev/null && [ -z "$$($(PYTHON) -m pip config list 2>/dev/null)" ]; then \
	  uv venv --quiet --seed --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(RUN) -c constraints.txt -e '.[dev]'; \
	elif $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  $(PYTHON) -m venv $(VENV) && \
	  $(RUN) -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'; \
	else \
	  echo "$(PYTHON) lacks the venv module. Install it (Debian, Ubuntu: sudo apt install python3-venv), or install uv." >&2; exit 1; \
	fi
	touch $@

# a wheel and a source distribution, checked short of uploading: metadata, and the wheel alone in a fresh environment
release:
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check build twine
	rm -rf dist && $(RELEASE)/bin/python -m build --quiet
	$(RELEASE)/bin/python -m twine check --strict dist/*
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd $(RELEASE) && bin/simulacra sample --count 1 && bin/simulacra doctor

clean:
	rm -rf $(VENV) $(LOWEST) $(RELEASE) build dist *.egg-info
