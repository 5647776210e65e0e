"""Measures mnnconv beside llama.cpp and onnxruntime-genai, on models of one shape
with random 4-bit weights in blocks of 32, and writes a report.

usage: bench.py --mnnconv BINARY --work FOLDER --report FILE [--shapes 0.5b,3b]
                [--rounds 5] [--threads 2] [--prompt 512] [--answer 48] [--peers a,b]

Run from the module's root. Packages go to an environment of their own beneath the
work folder. In each round every program runs once, one after the other, as a
process of its own that loads the model, reads a prompt twice (the second time
counts) and makes an answer behind it. What is compared are medians over rounds.
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
PACKAGES = ["numpy", "onnx==1.23.2", "gguf==0.19.0", "onnxruntime-genai==0.18.0"]
LLAMA = "llama-cpp-python"  # built here, for this processor
OURS = "mnnconv"


def environment(work, peers):
    """Makes the environment, and returns its Python and what is in it."""
    python = work / "python" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", work / "python"], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *PACKAGES], check=True)
    if "llama.cpp" in peers:
        subprocess.run([*pip, "install", "--quiet", "--no-binary", LLAMA, LLAMA], check=True, env=os.environ | {"CMAKE_ARGS": os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=ON")})
    listed = json.loads(subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True).stdout)
    return python, {p["name"].lower().replace("_", "-"): p["version"] for p in listed}


class Peer:
    """A program with its model."""

    def __init__(self, name, a, python, shape):
        self.name, self.a, self.python = name, a, python
        self.plain = False  # llama.cpp: its kernels for packed buffers fault here
        self.model = a.work / f"{name}-{shape}"
        if name == OURS:
            self.model = self.model.with_suffix(".mnnc")
        if not self.model.exists():
            self.make(shape)

    def make(self, shape):
        if self.name != OURS:
            subprocess.run([self.python, HERE / SCRIPTS[self.name], "make", shape, self.model], check=True)
            return
        folder = self.a.work / f"onnx-{shape}"
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["go", "run", "./tests/bigmodel", "-shape", shape, "-o", folder], check=True)
        subprocess.run([self.a.mnnconv, "convert", folder, "-o", self.model, "--quantize", "int4:32"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)

    def bytes(self):
        files = [self.model] if self.model.is_file() else self.model.rglob("*")
        return sum(f.stat().st_size for f in files if f.is_file())

    def run(self):
        """One round: load s, prefill and decode tokens/s, peak bytes."""
        a = self.a
        args = [self.python, HERE / SCRIPTS[self.name], "run", self.model, a.prompt, a.answer, a.threads] if self.name != OURS else \
            [a.mnnconv, "bench", self.model, "-p", a.prompt, "-n", a.answer, "-d", a.prompt, "-r", 1, "-t", a.threads, "--image-size", "0x0", "--json"]
        if self.plain:
            args.append("plain")
        p = subprocess.Popen([str(x) for x in args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        out = p.stdout.read()
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode < 0 and self.name == "llama.cpp" and not self.plain:
            self.plain = True
            return self.run()
        if p.returncode != 0:
            raise SystemExit(f"{' '.join(str(x) for x in args)}: exit {p.returncode}")
        peak = used.ru_maxrss * 1024
        if self.name != OURS:
            return json.loads(out.splitlines()[-1]) | {"peak": peak}
        rows = {r["test"]: r for r in json.loads(out)["rows"]}
        steps = rows[f"tg{a.answer} @ d{a.prompt}: each token"]
        return {"load": rows["load"]["median"], "prefill": a.prompt / rows[f"pp{a.prompt}"]["median"], "decode": 1 / steps["median"], "peak": peak}


SCRIPTS = {"llama.cpp": "llama.py", "onnxruntime-genai": "genai.py"}


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


METRICS = (("prefill", "prefill, tokens/s", 1, True), ("decode", "decode, tokens/s", 1, True), ("peak", "peak resident memory, MB", 1e6, False), ("load", "load, s", 1, False))


def table(rounds, sizes, a):
    """The medians of each program, and ours over the best of the others."""
    names = list(rounds)
    lines = ["| | " + " | ".join(names) + " | ours over the best peer |", "|---" * (len(names) + 2) + "|"]
    lines.append("| model, MB | " + " | ".join(f"{sizes[n] / 1e6:.0f}" for n in names) + " | |")
    for key, title, unit, more in METRICS:
        median = {n: statistics.median(r[key] for r in rounds[n]) for n in names}
        cells = []
        for n in names:
            values = [r[key] / unit for r in rounds[n]]
            cells.append(f"{median[n] / unit:.4g} ({min(values):.4g} to {max(values):.4g})")
        peers = [median[n] for n in names if n != OURS]
        best = (max if more else min)(peers)
        lines.append(f"| {title.replace('prefill,', f'prefill {a.prompt},').replace('decode,', f'decode behind {a.prompt},')} | " + " | ".join(cells) + f" | {median[OURS] / best:.2f} × |")
    return lines


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mnnconv", required=True)
    p.add_argument("--work", required=True, type=pathlib.Path)
    p.add_argument("--report", required=True, type=pathlib.Path)
    p.add_argument("--shapes", default="0.5b,3b")
    p.add_argument("--peers", default=",".join(SCRIPTS))
    for name, value in (("rounds", 5), ("threads", 2), ("prompt", 512), ("answer", 48)):
        p.add_argument("--" + name, type=int, default=value)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    a.work, a.mnnconv = a.work.resolve(), str(pathlib.Path(a.mnnconv).resolve())
    peers = a.peers.split(",")
    python, versions = environment(a.work, peers)
    version = subprocess.run([a.mnnconv, "version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    about = [version] + [f"{n} {versions[n]}" for n in ("llama-cpp-python", "onnxruntime-genai", "onnxruntime") if n in versions]
    lines = ["# mnnconv beside other programs, on the processor", "",
             f"Written by `make bench-peers` on {time.strftime('%Y-%m-%d')}: {machine()}. {a.threads} threads, {a.rounds} rounds in which the programs take turns; medians, and in brackets the",
             "least and the largest. Weights are random, 4 bits in blocks of 32, embedding and output matrix too. Load: until a prompt can be taken, page cache warm.",
             "Peak memory counts mapped pages of the model.", "", "Programs: " + "; ".join(about) + ".", ""]
    before = os.getloadavg()[0]
    for shape in a.shapes.split(","):
        programs = [Peer(n, a, python, shape) for n in [OURS, *peers]]
        rounds = {x.name: [] for x in programs}
        for i in range(a.rounds):
            for x in programs:
                rounds[x.name].append(x.run())
                print(f"{shape} round {i + 1}: {x.name}: {rounds[x.name][-1]}", file=sys.stderr, flush=True)
        lines += [f"## {shape}", "", *table(rounds, {x.name: x.bytes() for x in programs}, a), ""]
        if any(x.plain for x in programs):
            lines += ["llama.cpp ran without packed buffers: its kernels for them faulted on this machine. Build it without AMX (`CMAKE_ARGS`) for its best.", ""]
        for x in programs:  # the next shape needs the room
            shutil.rmtree(x.model) if x.model.is_dir() else x.model.unlink()
    lines += [f"Load average of the machine before and after: {before:.1f}, {os.getloadavg()[0]:.1f}. Above half a program beside these, the figures say little but for their ratios.", ""]
    a.report.write_text("\n".join(lines))


main()
