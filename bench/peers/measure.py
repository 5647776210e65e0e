"""What all peers' programs print: a line of JSON."""
import json
import resource
import statistics
import time

# what the interpreter and NumPy hold before a peer is imported
BASE = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ids(prompt):
    """A prompt of so many tokens."""
    return [(7 * i) % 500 + 1 for i in range(prompt)]


def report(load, prefill, step, prompt, answer):
    """Measures a prefill after a warm-up, and answer steps behind it."""
    prefill()
    start = time.perf_counter()
    prefill()
    taken = time.perf_counter() - start
    steps = []
    for i in range(answer):
        start = time.perf_counter()
        step(i)
        steps.append(time.perf_counter() - start)
    print(json.dumps({
        "load": load,
        "prefill": prompt / taken,
        "decode": 1 / statistics.median(steps[2:]),
        "base": BASE,
    }), flush=True)


def report_first(take):
    """Measures from here, where the interpreter stands, until a model that is not
    loaded yet has taken a prompt."""
    start = time.perf_counter()
    take()
    print(json.dumps({"first": time.perf_counter() - start, "base": BASE}), flush=True)
