# Two commands do all the set-up on a machine with Python >= 3.11, pip and make:
#   make demo   runs the main job on the simulated sample trial
#   make test   runs every check and test
#   make fuzz   uses damaged inputs in child processes (N=10000 SEED=1 for a longer run)
PYTHON ?= python3
VENV   ?= .venv
OUT    ?= demo-out
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

export MPLBACKEND ?= Agg

N    ?= 300
SEED ?= 0

.PHONY: demo test quick fuzz lint types notebooks lock setup clean help

help:
	@sed -n 's/^#   //p' Makefile

demo: $(STAMP)
	$(BIN)/biomarkers demo --out $(OUT)

test: lint types $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

fuzz: $(STAMP)
	$(BIN)/python benchmarks/fuzz.py --n $(N) --seed $(SEED)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

setup: $(STAMP)

# uv itself is installed by pip from its own pinned, hashed lines of the lock file, then installs all the rest
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Python >= 3.11 is needed, {v.major}.{v.minor} found: make PYTHON=/path/to/python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^[a-z]/ { keep = /^uv==/ } keep' requirements.lock > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q biomarkers
	@$(BIN)/python -m biomarkers.compile_ahead
	@touch $@

# run after a change of dependencies; the lock file holds pins and hashes for every supported Python and no download addresses
lock: $(STAMP)
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements.lock --custom-compile-command "make lock"

clean:
	rm -rf $(VENV) demo-out
