"""onnxruntime-genai: writes a decoder of 4-bit products in the form of its own
builder (GroupQueryAttention, MatMulNBits with accuracy_level 4), and measures it.

usage: genai.py make SHAPE FOLDER int4 | genai.py run FOLDER PROMPT ANSWER THREADS | genai.py first FOLDER PROMPT THREADS
"""
import json
import pathlib
import sys
import time

import numpy as np

MS = "com.microsoft"


def make(shape, folder, form):
    if form != "int4":
        raise SystemExit(f"{form}: only int4 is written")
    import onnx
    from onnx import TensorProto as T, helper as h, numpy_helper
    folder = pathlib.Path(folder)
    folder.mkdir()
    r = np.random.default_rng(1)
    nodes, weights = [], []
    data = open(folder / "model.onnx.data", "wb")

    def weight(name, a):
        t = numpy_helper.from_array(a, name)
        if a.nbytes >= 1024:
            data.write(bytes(-data.tell() % 4096))
            at = data.tell()
            data.write(a.tobytes())
            t.ClearField("raw_data")
            t.data_location = T.EXTERNAL
            for k, v in (("location", "model.onnx.data"), ("offset", at), ("length", a.nbytes)):
                e = t.external_data.add()
                e.key, e.value = k, str(v)
        weights.append(t)
        return name

    def product(name, x, rows, cols, bias=None):
        codes = weight(name + ".q", r.integers(0, 256, (rows, cols // 32, 16), dtype=np.uint8))
        scales = weight(name + ".s", np.full(rows * (cols // 32), 0.005, np.float32))
        nodes.append(h.make_node("MatMulNBits", [x, codes, scales], [name], name, domain=MS, K=cols, N=rows, bits=4, block_size=32, accuracy_level=4))
        if bias is None:
            return name
        nodes.append(h.make_node("Add", [name, weight(name + ".b", np.zeros(rows, np.float32))], [name + ".biased"]))
        return name + ".biased"

    def norm(name, x, skip=None):
        scale = weight(name + ".w", np.ones(shape.hidden, np.float32))
        if skip is None:
            nodes.append(h.make_node("SimplifiedLayerNormalization", [x, scale], [name], epsilon=1e-6, axis=-1, stash_type=1))
            return name, x
        nodes.append(h.make_node("SkipSimplifiedLayerNormalization", [x, skip, scale], [name, "", "", name + ".sum"], domain=MS, epsilon=1e-6))
        return name, name + ".sum"

    f32, head, kv = T.FLOAT, shape.head, shape.kv * shape.head
    inputs = [h.make_tensor_value_info("input_ids", T.INT64, ["batch", "tokens"]), h.make_tensor_value_info("attention_mask", T.INT64, ["batch", "total"])]
    outputs = [h.make_tensor_value_info("logits", f32, ["batch", "tokens", shape.vocabulary])]
    one = weight("one", np.array([1], np.int64))
    nodes += [
        h.make_node("ReduceSum", ["attention_mask", one], ["mask.sum"], keepdims=1),
        h.make_node("Sub", ["mask.sum", one], ["mask.last"]),
        h.make_node("Cast", ["mask.last"], ["seqlens"], to=T.INT32),
        h.make_node("Shape", ["attention_mask"], ["mask.shape"]),
        h.make_node("Gather", ["mask.shape", weight("one.scalar", np.array(1, np.int64))], ["mask.total"]),
        h.make_node("Cast", ["mask.total"], ["total"], to=T.INT32),
    ]
    angle = np.outer(np.arange(shape.context), shape.theta ** (-np.arange(0, head, 2) / head))
    cos, sin = weight("cos", np.cos(angle).astype(np.float32)), weight("sin", np.sin(angle).astype(np.float32))
    table = weight("embed.q", r.integers(0, 256, (shape.vocabulary, shape.hidden // 2), dtype=np.uint8))
    scales = weight("embed.s", np.full((shape.vocabulary, shape.hidden // 32), 0.005, np.float32))
    nodes.append(h.make_node("GatherBlockQuantized", [table, "input_ids", scales], ["embed"], domain=MS, bits=4, block_size=32, gather_axis=0, quantize_axis=1))
    x, skip = "embed", None
    for i in range(shape.layers):
        p = f"layer.{i}."
        y, x = norm(p + "norm1", x, skip)
        q, k, v = (product(p + n, y, rows, shape.hidden, bias=True) for n, rows in (("q", shape.hidden), ("k", kv), ("v", kv)))
        past = [f"past_key_values.{i}.{n}" for n in ("key", "value")]
        present = [f"present.{i}.{n}" for n in ("key", "value")]
        inputs += [h.make_tensor_value_info(n, f32, ["batch", shape.kv, "past", head]) for n in past]
        outputs += [h.make_tensor_value_info(n, f32, ["batch", shape.kv, "total", head]) for n in present]
        nodes.append(h.make_node("GroupQueryAttention", [q, k, v, *past, "seqlens", "total", cos, sin], [p + "attention", *present], domain=MS,
                                 num_heads=shape.heads, kv_num_heads=shape.kv, do_rotary=1, scale=head ** -0.5))
        o = product(p + "o", p + "attention", shape.hidden, shape.hidden)
        y, x = norm(p + "norm2", x, o)
        gate, up = (product(p + n, y, shape.intermediate, shape.hidden) for n in ("gate", "up"))
        nodes += [h.make_node("Sigmoid", [gate], [p + "sigmoid"]), h.make_node("Mul", [gate, p + "sigmoid"], [p + "silu"]), h.make_node("Mul", [p + "silu", up], [p + "act"])]
        skip = product(p + "down", p + "act", shape.hidden, shape.intermediate)
    y, _ = norm("norm", x, skip)
    # the head shares the table's bytes, as where the two are tied
    same = next(t for t in weights if t.name == "embed.q")
    tied = onnx.TensorProto()
    tied.CopyFrom(same)
    tied.name = "head.q"
    del tied.dims[:]
    tied.dims.extend([shape.vocabulary, shape.hidden // 32, 16])
    weights.append(tied)
    flat = onnx.TensorProto()
    flat.CopyFrom(next(t for t in weights if t.name == "embed.s"))
    flat.name = "head.s"
    del flat.dims[:]
    flat.dims.extend([shape.vocabulary * shape.hidden // 32])
    weights.append(flat)
    nodes.append(h.make_node("MatMulNBits", [y, "head.q", "head.s"], ["logits"], "head", domain=MS, K=shape.hidden, N=shape.vocabulary, bits=4, block_size=32, accuracy_level=4))
    data.close()
    model = h.make_model(h.make_graph(nodes, "decoder", inputs, outputs, weights), opset_imports=[h.make_opsetid("", 21), h.make_opsetid(MS, 1)], ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    config = {
        "model": {
            "bos_token_id": 1, "context_length": shape.context, "eos_token_id": 0, "pad_token_id": 0, "type": "qwen2", "vocab_size": shape.vocabulary,
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []}, "filename": "model.onnx", "head_size": head, "hidden_size": shape.hidden,
                "inputs": {"input_ids": "input_ids", "attention_mask": "attention_mask", "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"},
                "outputs": {"logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value"},
                "num_attention_heads": shape.heads, "num_hidden_layers": shape.layers, "num_key_value_heads": shape.kv,
            },
        },
        "search": {"max_length": shape.context, "do_sample": False, "past_present_share_buffer": True},
    }
    (folder / "genai_config.json").write_text(json.dumps(config))


def opened(folder, threads):
    import onnxruntime_genai as og
    config = pathlib.Path(folder) / "genai_config.json"
    settings = json.loads(config.read_text())
    settings["model"]["decoder"]["session_options"]["intra_op_num_threads"] = threads
    config.write_text(json.dumps(settings))
    return og.Model(str(folder))


def generator(model, prompt, answer):
    """A generator that has taken a prompt."""
    import onnxruntime_genai as og
    from measure import ids
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=prompt + answer + 8, min_length=prompt + answer + 8)
    made = og.Generator(model, params)
    made.append_tokens(np.array([ids(prompt)], np.int32))
    return made


def run(folder, prompt, answer, threads):
    import onnxruntime_genai  # noqa: F401: its import is no part of loading a model
    from measure import report
    start = time.perf_counter()
    model = opened(folder, threads)
    load = time.perf_counter() - start
    at = [None]

    def prefill():
        at[0] = generator(model, prompt, answer)

    report(load, prefill, lambda i: at[0].generate_next_token(), prompt, answer)


def first(folder, prompt, threads):
    from measure import report_first
    report_first(lambda: generator(opened(folder, threads), prompt, 1).generate_next_token())


if __name__ == "__main__":
    if sys.argv[1] == "make":
        from shapes import SHAPES
        make(SHAPES[sys.argv[2]], *sys.argv[3:])
    elif sys.argv[1] == "run":
        run(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        first(sys.argv[2], *map(int, sys.argv[3:]))
