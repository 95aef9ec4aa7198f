# Every target sets up what it needs: Python 3.11+, make and a package registry are enough.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for v in 3.11 3.12 3.13 3.14; do command -v python$$v && break; done || command -v python3)
READY := $(VENV)/.ready
DOCS := $(VENV)/.docs
# Every command is a process of its own: one that may not keep what it compiled compiles the whole platform anew.
unexport PYTHONDONTWRITEBYTECODE
UV := $(shell uv --version > /dev/null 2>&1 && command -v uv)
# Of what pip says at length, a line that moves.
define PROGRESS
/^Collecting/ { printf "\r  %d of at most %d packages", ++n, all; fflush() } \
/^Installing collected/ { printf "\r  installing %d packages …          ", n; fflush() } \
/^setup failed/ { failed = 1 } \
END { print ""; exit failed }
endef

help: ## Show this help 帮助
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make the virtual environment in .venv 安装

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: https://www.python.org/downloads/"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=/path/to/python3.11"; exit 1; }
ifdef UV
	@echo "Setting up $(VENV) with uv (once) …"
	@uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)
	@uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[ui,dev]'
else
	@echo "Setting up $(VENV) with pip (a minute or two, once; uv would be faster) …"
	@"$(PYTHON)" -m venv $(VENV)
	@{ $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --constraint constraints.txt --editable '.[ui,dev]' \
	  || echo "setup failed"; } | awk -v all="$$(grep -c == constraints.txt)" '$(PROGRESS)'
endif
	@touch $@

$(DOCS): $(READY)
	@echo "Adding what the documents are made with, what weighs portfolios, and a server of S3 for the tests …"
	@$(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check) --constraint constraints.txt --editable '.[docs,portfolio,s3]'
	@touch $@

run: setup ## Run the main job: sync, check, screen, notify 运行主任务
	@$(BIN)/quant-pipeline run

ui: setup ## Start the Dagster web UI on http://127.0.0.1:3000 启动界面
	@$(BIN)/quant-pipeline ui

serve: setup ## Serve our own pages alone on http://127.0.0.1:8000 仅启动自带页面
	@$(BIN)/quant-pipeline serve

test: $(DOCS) ## Run ruff, mypy, the house's import rules and the tests 测试
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses 4 --dist loadfile

uitest: setup ## Look at the UI in headless Chromium (needs chromium and chromedriver) 界面测试
	QUANT_UI_TESTS=1 $(BIN)/pytest quant_pipeline_tests/test_ui.py quant_pipeline_tests/door

bench: setup ## Measure the speeds that the README names 性能测试
	$(BIN)/python -m benchmarks

mutants: setup ## Put slips into the sync decisions, one at a time: do the tests notice? 变异测试
	$(BIN)/python -m benchmarks.mutants

docs: $(DOCS) ## Make docs/datasets.md from the specs, and the documents' site in site/ 生成文档
	@$(BIN)/python -m quant_pipeline.console.catalogue > .datasets.new && mv .datasets.new docs/datasets.md
	@# The theme tells at each start who follows it: mkdocs.yml says so too.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

texts: setup ## Collect and compile the texts of both languages 更新文本目录
	@$(BIN)/python -m quant_pipeline.cli.texts

freeze: setup ## Renew constraints.txt from .venv 更新版本约束
	@head -1 constraints.txt > .constraints.new
	@$(if $(UV),uv pip freeze --python $(BIN)/python,$(BIN)/python -m pip freeze) --exclude-editable >> .constraints.new
	@mv .constraints.new constraints.txt

clean: ## Stop the embedded server and the sandbox, and remove what was made 清理（会删除 .quant 数据）
	@test ! -x $(BIN)/quant-pipeline || $(BIN)/quant-pipeline db stop
	rm -rf $(VENV) .quant site build *.egg-info

.PHONY: help setup run ui serve test uitest bench mutants docs texts freeze clean
