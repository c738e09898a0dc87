# make env    the Python environment in .venv, from the hash-locked requirements
# make demo   the whole workflow on synthetic radiographs, to results/report/report.html
# make test   linters and tests
# make study  the full study, as config.yaml says
# make resume resumes the last run after Snakemake was killed
# make verify compares every result with the digest recorded when it was made

PYTHON ?= python3
# make env LOCK=envs/requirements-gpu.txt for an NVIDIA GPU under Linux
LOCK ?= envs/requirements-dev.txt
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
GPU ?= 1
# make resume DIRECTORY=a/study for a run that was started with --directory
DIRECTORY ?= .
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest -n $(CORES) --maxprocesses 8 --no-loadscope-reorder
JAX_TESTS := backends/test_backend.py backends/test_gradients.py backends/test_loops.py \
	training/test_schedule.py \
	training/test_trainer.py::test_a_trial_trains_as_keras_does \
	training/test_trainer.py::test_a_trial_does_not_depend_on_those_that_share_its_model
BIN := $(VENV)/bin
# It starts shfmt, which is installed beside it.
SNAKEFMT := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakefmt
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) --resources gpu=$(GPU)

# Bytecode is compiled once at installation; without it every job would pay for it again.
unexport PYTHONDONTWRITEBYTECODE
# Another Python's packages, and what would change how ours runs.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONSTARTUP PYTHONWARNINGS PYTHONOPTIMIZE
# Snakemake, pip and uv keep files in the user's home, which may be read-only.
ifneq ($(shell mkdir -p "$${XDG_CACHE_HOME:-$$HOME/.cache}/snakemake" 2>/dev/null && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif

.PHONY: env demo what-the-demo-does test lint format docs study resume verify lock clean

env: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) envs/installer.txt envs/check_python.py
	@$(PYTHON) envs/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV): 800 MB to download the first time, 3 GB on disk."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/installer.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(LOCK) \
		|| { echo "uv could not install them; trying pip, which is slower."; \
		     $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $(LOCK); }
	@touch $@

demo: what-the-demo-does env
	@$(SNAKEMAKE) --configfile tests/config/demo.yaml

# Before what it needs is installed.
what-the-demo-does:
	@echo "The demo makes 240 synthetic radiographs and runs every stage of the study on them, with small"
	@echo "networks. It takes about four minutes on two cores, downloads no data, and writes 100 MB to"
	@echo "results/. Its numbers say nothing about the study."

# Backends and searches are tested again on JAX, the fastest backend on a GPU.
test: lint
	KERAS_BACKEND=tensorflow $(PYTEST)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(addprefix tests/unit/,$(JAX_TESTS))

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(SNAKEFMT) --check Snakefile workflow
	$(BIN)/snakemake --lint

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(SNAKEFMT) Snakefile workflow

# The configuration reference, from the schema and config.yaml.
docs: env
	$(BIN)/python docs/configuration.py

study: env
	@$(SNAKEMAKE)

# Without env: packages must not change while jobs of the dead run may be alive.
resume:
	@test -x $(BIN)/python || { echo "no $(VENV): run make env first"; exit 1; }
	@cd "$(DIRECTORY)" && "$(CURDIR)/$(BIN)/python" "$(CURDIR)/workflow/resume.py"

verify:
	@test -x $(BIN)/python || { echo "no $(VENV): run make env first"; exit 1; }
	@cd "$(DIRECTORY)" && "$(CURDIR)/$(BIN)/python" "$(CURDIR)/workflow/verify.py" --cores $(CORES)

# For maintainers: resolve envs/*.in anew, with hashes, for every platform.
lock: env
	$(BIN)/python envs/lock.py

clean:
	rm -rf results .snakemake
