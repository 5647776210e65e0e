"""Measures mnnconv beside llama.cpp, onnxruntime, onnxruntime-genai and MNN, on
models of the same shapes with random weights, and writes a report.

usage: bench.py --mnnconv BINARY --work FOLDER --report FILE [--rows int4,first,...]
                [--shapes 0.5b,3b] [--peers a,b] [--mnn-source FOLDER] [--rounds 5]
                [--threads 2] [--prompt 512] [--answer 48] [--prepare]

Run from the module's root. Packages, builds and models lie beneath the work folder,
which may be deleted; it comes to some 14 GB. In each round every program runs once,
one after the other, as a process of its own. What is compared are medians over rounds.
Each row of each shape leaves a file in WORK/results: the report is made of all that
are there, so that a part can be measured again by itself. --prepare installs, builds
and writes models, and measures nothing.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["numpy", "onnx==1.23.2", "gguf==0.19.0", "onnxruntime-genai==0.18.0", "MNN==3.6.1", "diskcache", "jinja2"]
LLAMA = "llama-cpp-python==0.3.36"  # built here, for this processor
OURS = "mnnconv"
SCRIPTS = {"llama.cpp": "llama.py", "onnxruntime-genai": "genai.py", "mnn": "mnn.py"}
LEVEL = ["SSE42", "AVX", "AVX2", "FMA", "F16C", "BMI2"]
LLAMA_BUILDS = {
    "processor": f"-DGGML_NATIVE=ON '-DCMAKE_CXX_FLAGS=-include {HERE / 'ldtilecfg.h'}'",
    "avx512": " ".join(["-DGGML_NATIVE=OFF", *(f"-DGGML_{f}=ON" for f in LEVEL + ["AVX512", "AVX512_VBMI", "AVX512_VNNI", "AVX512_BF16"])]),
    "avx2": " ".join(["-DGGML_NATIVE=OFF", *(f"-DGGML_{f}=ON" for f in LEVEL)]),
}
LLAMA_NAMES = {"processor": "this processor, AMX where it has that", "avx512": "this processor but AMX", "avx2": "AVX2"}
LLAMA_PARTS = " ".join(f"-D{f}=OFF" for f in ("LLAVA_BUILD", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_SERVER"))
MNN_OPTIONS = ("MNN_BUILD_LLM", "MNN_AVX512", "MNN_LOW_MEMORY", "MNN_CPU_WEIGHT_DEQUANT_GEMM", "MNN_SUPPORT_TRANSFORMER_FUSE")
BLOCKS = 8  # of the vision tower's 32: seven over windows and one over the picture, as in all of it
PROMPT_WORDS = 16  # tokens of the prompt before the first token


def call(*args, **more):
    return subprocess.run([str(x) for x in args], check=True, **more)


class Bench:
    """The work folder and what is in it."""

    def __init__(self, a):
        self.a, self.work = a, a.work
        self.python = a.work / "python" / "bin" / "python"
        self.models = a.work / "models"
        self.models.mkdir(exist_ok=True)

    def install(self, peers):
        if not self.python.exists():
            call(sys.executable, "-m", "venv", self.work / "python")
        pip = [self.python, "-m", "pip", "--disable-pip-version-check"]
        call(*pip, "install", "--quiet", *PACKAGES)
        listed = json.loads(call(*pip, "list", "--format", "json", capture_output=True).stdout)
        self.versions = {p["name"].lower(): p["version"] for p in listed}
        self.source = None
        if "mnn-source" in peers:
            self.source = self.build_mnn()

    def llama(self, build):
        """The folder with one of the builds of llama.cpp."""
        folder = self.work / f"llama.cpp-{build}"
        if not folder.exists():
            call(self.python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--no-binary", "llama-cpp-python", "--target", folder, LLAMA,
                 env=os.environ | {"CMAKE_ARGS": f"{LLAMA_BUILDS[build]} {LLAMA_PARTS}"})
        return folder

    def build_mnn(self):
        """A build of MNN's source with AVX-512, which the wheel lacks, and the program that measures it."""
        build = self.work / "mnn-build"
        if not (build / "libMNN.so").exists():
            call("cmake", "-S", self.a.mnn_source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DMNN_SEP_BUILD=OFF", "-DMNN_BUILD_TOOLS=OFF", "-DLLM_SUPPORT_HTTP_RESOURCE=OFF",
                 *(f"-D{o}=ON" for o in MNN_OPTIONS), stdout=subprocess.DEVNULL)
            call("cmake", "--build", build, "--target", "MNN", "--parallel", str(os.cpu_count()), stdout=subprocess.DEVNULL)
        program = build / "measure"
        if not program.exists():
            call("c++", "-O2", "-std=c++17", HERE / "mnn.cpp", f"-I{self.a.mnn_source}/include", f"-I{self.a.mnn_source}/transformers/llm/engine/include",
                 f"-L{build}", "-lMNN", f"-Wl,-rpath,{build}", "-o", program)
        return program

    def model(self, program, shape, form):
        """A model, written if it is not there."""
        if program == "mnn-source":
            program = "mnn"
        path = self.models / f"{program}-{shape}-{form}"
        if program == OURS:
            path = path.with_suffix(path.suffix + ".mnnc")
        if path.exists():
            return path
        if program != OURS:
            part = path.with_name("part")
            shutil.rmtree(part, ignore_errors=True)
            part.unlink(missing_ok=True)
            call(self.python, HERE / SCRIPTS[program], "make", shape, part, form, stdout=subprocess.DEVNULL)
            part.rename(path)
            return path
        self.convert(["-shape", shape, "-blocks", "1", "-tied"], path, {"int4": ["--quantize", "int4:32:scales8"], "fp16": []}[form])
        return path

    def convert(self, shape, path, options):
        folder = self.work / "onnx"
        shutil.rmtree(folder, ignore_errors=True)
        call("go", "run", "./tests/bigmodel", *shape, "-o", folder)
        call(self.a.mnnconv, "convert", folder, "-o", path, *options, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)

    def vision(self, program, form):
        path = self.models / (f"{OURS}-vision-{form}.mnnc" if program == OURS else "onnxruntime-vision.onnx")
        if not path.exists() and program == OURS:
            self.convert(["-shape", "3b", "-layers", "1", "-blocks", str(BLOCKS), "-tied", "-vision-type", form], path, ["--quantize", "llm=int4:32,embed=int4:32,head=int4:32"])
        elif not path.exists():
            call(self.python, HERE / "vision.py", "make", path, BLOCKS)
        return path

    def run(self, args, env=None, tries=3):
        """Runs a program; returns its output, the seconds to its first line, and its peak bytes.
        One that is killed is tried again: MNN's wheel faults now and then."""
        start = time.perf_counter()
        p = subprocess.Popen([str(x) for x in args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | (env or {}))
        out = p.stdout.readline()
        seconds = time.perf_counter() - start
        out += p.stdout.read()
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode < 0 and tries > 1:
            print(f"{' '.join(str(x) for x in args)}: killed by signal {-p.returncode}, tried again", file=sys.stderr, flush=True)
            return self.run(args, env, tries - 1)
        if p.returncode != 0:
            raise SystemExit(f"{' '.join(str(x) for x in args)}: exit {p.returncode}")
        return out, seconds, used.ru_maxrss * 1024


def peer(b, name, shape, form, command, *counts, build=None):
    """What runs a peer once. Its peak is without what its interpreter holds."""
    if name == "llama.cpp" and not build:
        return best_llama(b, shape, form, command, *counts)
    model, env = b.model(name, shape, form), {}
    if name == "llama.cpp":
        b.built, env = build, {"PYTHONPATH": str(b.llama(build))}
    if name == "mnn-source":
        script = call(b.python, "-c", f"import sys; sys.path.insert(0, {str(HERE)!r}); import mnn; print(mnn.settings({str(model)!r}, {b.a.threads}))", capture_output=True, text=True)
        args = [b.source, command, script.stdout.split()[-1], *counts]
    else:
        args = [b.python, HERE / SCRIPTS[name], command, model, *counts, b.a.threads]

    def once():
        out, _, peak = b.run(args, env)
        got = json.loads(out.splitlines()[-1])
        return got | {"peak": peak - got.pop("base")}
    return once, model


def best_llama(b, *what):
    """llama.cpp in the build that does better, for this processor or without AMX: in the
    second of two runs, as the first one may wait for the disk."""
    def score(once):
        once()
        got = once()
        return 1 / got["first"] if "first" in got else got["prefill"] * got["decode"]
    scores, programs = {}, {n: peer(b, "llama.cpp", *what, build=n) for n in ("avx512", "processor")}
    for name, (once, _) in programs.items() if not b.a.prepare else ():
        try:
            scores[name] = score(once)
        except SystemExit as e:
            print(f"llama.cpp built as {name} is left out: {e}", file=sys.stderr, flush=True)
    b.built = max(scores, key=scores.get, default="avx512")
    return programs[b.built]


def ours(b, shape, form, env=None):
    a, model = b.a, b.model(OURS, shape, form)
    args = [a.mnnconv, "bench", model, "-p", a.prompt, "-n", a.answer, "-d", a.prompt, "-r", 1, "-t", a.threads, "--image-size", "0x0", "--math", "fast", "--json"]

    def once():
        out, _, peak = b.run(args, env)
        rows = {r["test"]: r for r in json.loads(out)["rows"]}
        steps = rows[f"tg{a.answer} @ d{a.prompt}: each token"]
        return {"load": rows["load"]["median"], "prefill": a.prompt / rows[f"pp{a.prompt}"]["median"], "decode": 1 / steps["median"], "peak": peak}
    return once, model


def language(b, shape, peers, form="int4"):
    programs = {OURS: ours(b, shape, form)}
    return programs | {n: peer(b, n, shape, form, "run", b.a.prompt, b.a.answer) for n in peers}


def fp16(b, shape, peers):
    return language(b, shape, [n for n in peers if n == "llama.cpp"], "fp16") if shape == "0.5b" else {}


def avx2(b, shape, peers):
    if "llama.cpp" not in peers:
        return {}
    return {OURS: ours(b, shape, "int4", {"MNNCONV_CPU": "avx2"}), "llama.cpp": peer(b, "llama.cpp", shape, "int4", "run", b.a.prompt, b.a.answer, build="avx2")}


def first(b, shape, peers):
    model = b.model(OURS, shape, "int4")

    def tokens(words):
        out, _, _ = b.run([b.a.mnnconv, "run", model, "-p", " ".join(["a"] * words), "-n", 1, "--math", "fast", "--json"])
        return json.loads(out)["prompt_tokens"]
    words = max(1, PROMPT_WORDS - tokens(1) + 1)  # the template has tokens of its own
    count = tokens(words)

    def once():
        _, seconds, peak = b.run([b.a.mnnconv, "run", model, "-p", " ".join(["a"] * words), "-n", 1, "-t", b.a.threads, "-c", 1024, "--math", "fast", "--json"])
        return {"first": seconds, "peak": peak}
    return {OURS: (once, model)} | {n: peer(b, n, shape, "int4", "first", count) for n in peers}


def vision(b, shape, peers):
    if shape != "3b":
        return {}

    def tower(form):
        model = b.vision(OURS, form)

        def once():
            out, _, peak = b.run([b.a.mnnconv, "bench", model, "-p", 0, "-n", 0, "-r", 3, "-t", b.a.threads, "--image-size", "448x448", "--json"])
            return {"vision": next(r["median"] for r in json.loads(out)["rows"] if r["test"] == "vis448x448"), "peak": peak}
        return once, model

    def other():
        out, _, peak = b.run([b.python, HERE / "vision.py", "run", model, b.a.threads])
        got = json.loads(out.splitlines()[-1])
        return got | {"peak": peak - got.pop("base")}
    model = b.vision("onnxruntime", "float32")
    return {OURS: tower("float32"), f"{OURS}, bfloat16": tower("bfloat16"), "onnxruntime": (other, model)}


def small(b, shape, peers):
    """The trained model in 8 bits, where what a token costs beside its products shows;
    for MNN one of the same shape."""
    if shape != "0.5b":
        return {}
    path = b.models / f"{OURS}-tiny-int8.mnnc"
    if not path.exists():
        call(b.a.mnnconv, "convert", "models/tinyvl", "-o", path, "--quantize", "int8", stdout=subprocess.DEVNULL)
    return {OURS: ours(b, "tiny", "int8")} | {n: peer(b, n, "tiny", "int8", "run", b.a.prompt, b.a.answer) for n in peers if n.startswith("mnn")}


ROWS = {
    "int4": (language, "weights of 4 bits in blocks of 32"),
    "first": (first, f"from the program's start to the first token behind {PROMPT_WORDS} tokens or its template's, 4 bits"),
    "fp16": (fp16, "weights of 16 bits"),
    "avx2": (avx2, "AVX2 alone (`MNNCONV_CPU=avx2`; llama.cpp built for it), 4 bits"),
    "vision": (vision, f"vision tower, {BLOCKS} of 32 blocks, a picture of 448×448, float32 unless it says more"),
    "small": (small, "the trained small model, 8 bits; MNN with random weights of the same shape"),
}
METRICS = (("prefill", "prefill, tokens/s", 1, max), ("decode", "decode behind the prompt, tokens/s", 1, max), ("first", "first token, s", 1, min), ("vision", "picture, s", 1, min),
           ("peak", "peak resident memory, MB", 1e6, min), ("load", "load, s", 1, min))


def size(model):
    return sum(f.stat().st_size for f in ([model] if model.is_file() else model.rglob("*")) if f.is_file())


def measure(b, row, shape, peers):
    """Lets the programs of a row take turns, and keeps what they gave."""
    programs = ROWS[row][0](b, shape, peers)
    if not programs or b.a.prepare:
        return
    load, rounds = os.getloadavg()[0], {n: [] for n in programs}
    for i in range(b.a.rounds):
        for n, (once, _) in programs.items():
            rounds[n].append(once())
            print(f"{row} {shape} round {i + 1}: {n}: {rounds[n][-1]}", file=sys.stderr, flush=True)
    result = {"row": row, "shape": shape, "rounds": rounds, "sizes": {n: size(m) for n, (_, m) in programs.items()}, "versions": b.versions, "llama": b.built if "llama.cpp" in programs else None, "date": time.strftime("%Y-%m-%d %H:%M"),
              "load": [load, os.getloadavg()[0]], "threads": b.a.threads, "prompt": b.a.prompt}
    folder = b.work / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{row}-{shape}.json").write_text(json.dumps(result))


def table(r):
    """The medians of each program, and ours over the best of the others."""
    rounds = r["rounds"]
    names = list(rounds)
    peers = [n for n in names if not n.startswith(OURS)]
    lines = ["| | " + " | ".join(names) + " | ours over the best peer |", "|---" * (len(names) + 2) + "|"]
    lines.append("| model, MB | " + " | ".join(f"{r['sizes'][n] / 1e6:.0f}" for n in names) + " | |")
    for key, title, unit, best in METRICS:
        if key not in rounds[names[0]][0]:
            continue
        median = {n: statistics.median(x[key] for x in rounds[n]) for n in names}
        cells = [f"{median[n] / unit:.4g} ({min(x[key] for x in rounds[n]) / unit:.4g} to {max(x[key] for x in rounds[n]) / unit:.4g})" for n in names]
        ratio = ", ".join(f"{median[n] / best(median[p] for p in peers):.2f} ×" for n in names if n.startswith(OURS)) if peers else ""
        lines.append(f"| {title.replace('prefill', 'prefill ' + str(r['prompt']))} | " + " | ".join(cells) + f" | {ratio} |")
    return lines


def machine():
    cpu, flags = platform.processor(), []
    for line in open("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            cpu = value.strip()
        if key.strip() == "flags":
            flags = [f for f in value.split() if f in ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{cpu}, {os.cpu_count()} processors, {memory / 2**30:.0f} GiB; {', '.join(sorted(flags))}; Linux {platform.release()}"


def report(b):
    """The report of all results that are there."""
    found = {p.stem: json.loads(p.read_text()) for p in sorted((b.work / "results").glob("*.json"))}
    version = call(b.a.mnnconv, "version", capture_output=True, text=True).stdout.splitlines()[0]
    about = [version, LLAMA.replace("==", " ")] + [f"{n} {b.versions[n]}" for n in ("onnxruntime-genai", "onnxruntime", "mnn") if n in b.versions]
    lines = ["# mnnconv beside other programs, on the processor", "",
             f"Written by `make bench-peers`: {machine()}. The programs take turns; medians over rounds, and in brackets the least and the largest. Weights are random and the",
             "embedding is the output matrix. `mnnconv` runs with `--math fast`: the peers quantise activations too. Load: until a prompt can be taken, page cache warm. Peak",
             "memory counts mapped pages of the model, and not what a peer's interpreter holds. `mnn` is the wheel, which has no AVX-512; `mnn-source` a build of its source with it,",
             "on the wheel's converter's model.", "", "Programs: " + "; ".join(about) + ".", ""]
    for row, (_, title) in ROWS.items():
        for r in (r for r in found.values() if r["row"] == row):
            lines += [f"## {row}, {r['shape']}: {title}", "", f"{r['date']}, {r['threads']} threads, {len(r['rounds'][OURS])} rounds; load average before and after {r['load'][0]:.1f}, {r['load'][1]:.1f}."
                      + (f" llama.cpp built for {LLAMA_NAMES[r['llama']]}." if r["llama"] else ""), "", *table(r), ""]
    b.a.report.write_text("\n".join(lines))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mnnconv", required=True)
    p.add_argument("--work", required=True, type=pathlib.Path)
    p.add_argument("--report", required=True, type=pathlib.Path)
    p.add_argument("--mnn-source", default="")
    p.add_argument("--shapes", default="0.5b,3b")
    p.add_argument("--rows", default=",".join(ROWS))
    p.add_argument("--peers", default=",".join(SCRIPTS))
    p.add_argument("--prepare", action="store_true")
    for name, value in (("rounds", 5), ("threads", 2), ("prompt", 512), ("answer", 48)):
        p.add_argument("--" + name, type=int, default=value)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    a.work, a.mnnconv = a.work.resolve(), str(pathlib.Path(a.mnnconv).resolve())
    peers, rows, shapes = a.peers.split(","), a.rows.split(","), a.shapes.split(",")
    if a.mnn_source:
        a.mnn_source = pathlib.Path(a.mnn_source).resolve()
        peers.append("mnn-source")
    for given, known in ((rows, ROWS), (shapes, ("0.5b", "3b")), (peers, [*SCRIPTS, "mnn-source"])):
        if unknown := [x for x in given if x not in known]:
            p.error(f"{unknown[0]}: want {', '.join(known)}")
    b = Bench(a)
    b.install(peers)
    for row in rows:
        for shape in shapes:
            measure(b, row, shape, peers)
    if not a.prepare:
        report(b)


main()
