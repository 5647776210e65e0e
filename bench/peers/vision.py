"""onnxruntime: writes blocks of Qwen2.5-VL-3B's vision tower in float32, for a
picture of 448×448, and measures them.

usage: vision.py make FILE BLOCKS | vision.py run FILE THREADS

Windows are batches, as the picture's 32×32 patches fall into 4×4 windows of 8×8;
the last block attends to all of it. Attention and rotation are onnxruntime's own
operators.
"""
import json
import statistics
import sys
import time

import numpy as np

MS = "com.microsoft"
HIDDEN, HEADS, INTERMEDIATE, PATCHES, WINDOW, OUT = 1280, 16, 3420, 1024, 64, 2048


def make(path, blocks):
    import onnx
    from onnx import TensorProto as T, helper as h, numpy_helper
    nodes, weights, r = [], [], np.random.default_rng(1)

    def const(name, a):
        weights.append(numpy_helper.from_array(a, name))
        return name

    def node(op, inputs, name, domain="", **attrs):
        nodes.append(h.make_node(op, inputs, [name], name, domain=domain, **attrs))
        return name

    def product(name, x, rows, cols, bias=True):
        w = r.standard_normal((rows, cols), np.float32)
        w *= np.float32(0.02)
        y = node("MatMul", [x, const(name + ".w", w)], name)
        return node("Add", [y, const(name + ".b", np.zeros(cols, np.float32))], name + ".biased") if bias else y

    def norm(name, x, width):
        return node("SimplifiedLayerNormalization", [x, const(name + ".w", np.ones(width, np.float32))], name, epsilon=1e-6, axis=-1, stash_type=1)

    head = HIDDEN // HEADS
    angle = np.outer(np.arange(PATCHES), 1e4 ** (-np.arange(0, head, 2) / head))
    cos, sin = const("cos", np.cos(angle).astype(np.float32)), const("sin", np.sin(angle).astype(np.float32))
    at = {n: const(f"at.{n}", np.arange(PATCHES, dtype=np.int64).reshape(-1, n)) for n in (WINDOW, PATCHES)}
    x = product("patches", "pixel_values", 1176, HIDDEN, bias=False)
    for i in range(blocks):
        p, tokens = f"blocks.{i}.", PATCHES if i == blocks - 1 else WINDOW
        y = node("Reshape", [norm(p + "norm1", x, HIDDEN), const(p + "windows", np.array([-1, tokens, HIDDEN], np.int64))], p + "windowed")
        q, k, v = (product(p + n, y, HIDDEN, HIDDEN) for n in "qkv")
        q, k = (node("RotaryEmbedding", [t, at[tokens], cos, sin], t + ".turned", domain=MS, num_heads=HEADS) for t in (q, k))
        a = node("MultiHeadAttention", [q, k, v], p + "attention", domain=MS, num_heads=HEADS)
        a = node("Reshape", [a, const(p + "all", np.array([PATCHES, HIDDEN], np.int64))], p + "joined")
        x = node("Add", [x, product(p + "proj", a, HIDDEN, HIDDEN)], p + "sum1")
        y = norm(p + "norm2", x, HIDDEN)
        gate, up = (product(p + n, y, HIDDEN, INTERMEDIATE) for n in ("gate", "up"))
        silu = node("Mul", [gate, node("Sigmoid", [gate], p + "sigmoid")], p + "silu")
        x = node("Add", [x, product(p + "down", node("Mul", [silu, up], p + "act"), INTERMEDIATE, HIDDEN)], p + "sum2")
    y = node("Reshape", [norm("ln_q", x, HIDDEN), const("four", np.array([-1, 4 * HIDDEN], np.int64))], "merged")
    y = node("Gelu", [product("merger.0", y, 4 * HIDDEN, 4 * HIDDEN)], "gelu", domain=MS)
    product("merger.2", y, 4 * HIDDEN, OUT)
    graph = h.make_graph(nodes, "vision", [h.make_tensor_value_info("pixel_values", T.FLOAT, [PATCHES, 1176])],
                         [h.make_tensor_value_info(nodes[-1].output[0], T.FLOAT, [PATCHES // 4, OUT])], weights)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21), h.make_opsetid(MS, 1)], ir_version=10)
    with open(path, "wb") as f:
        f.write(model.SerializeToString())


def run(path, threads):
    import onnxruntime as ort
    from measure import BASE
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    pixels = {"pixel_values": np.random.default_rng(2).standard_normal((PATCHES, 1176), np.float32)}
    times = []
    for _ in range(4):
        start = time.perf_counter()
        session.run(None, pixels)
        times.append(time.perf_counter() - start)
    print(json.dumps({"vision": statistics.median(times[1:]), "base": BASE}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]))
    else:
        run(sys.argv[2], int(sys.argv[3]))
