"""What all peers' programs print: a line of JSON."""
import json
import statistics
import time


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
    }), flush=True)
