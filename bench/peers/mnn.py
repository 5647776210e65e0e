"""MNN: writes a decoder as its exporter does, with random weights of 4 bits in
blocks of 32 or of 8 bits with a scale for each row, and measures it.

usage: mnn.py make SHAPE FOLDER int4|int8 | mnn.py run FOLDER PROMPT ANSWER THREADS | mnn.py first FOLDER PROMPT THREADS

The graph goes through MNN's converter, called as the function it is: the wheel's
command, and what it imports for logging, install packages and ask hosts. The
weights are written as the exporter writes them, symmetric, and the output matrix
is the embedding too.
"""
import json
import pathlib
import struct
import sys
import time

import numpy as np

sys.modules["MNN.tools.utils.log"] = None  # an import of it fails


def skeleton(shape):
    """The decoder with stand-ins for its products, which are cut in later."""
    import onnx
    from onnx import TensorProto as T, helper as h, numpy_helper
    nodes, weights = [], []

    def const(name, a):
        weights.append(numpy_helper.from_array(a, name))
        return name

    def node(op, inputs, name, **attrs):
        nodes.append(h.make_node(op, inputs, [name], name, **attrs))
        return name

    def stand_in(op, inputs, outputs, name, **attrs):
        nodes.append(h.make_node(op, inputs, outputs, name, domain="LlmExporter", **attrs))
        nodes[-1].attribute.append(h.make_attribute("name", name))
        return outputs[0]

    def product(name, x, rows, cols, bias=False):
        return stand_in("FakeLinear", [x], [name], name, in_features=cols, out_features=rows, has_bias=int(bias))

    two, eps, one = const("two", np.float32(2)), const("epsilon", np.float32(1e-6)), const("one", np.float32(1))

    def norm(name, x):
        square = node("Pow", [x, two], name + "/pow")
        mean = node("ReduceMean", [square], name + "/mean", axes=[-1], keepdims=1)
        root = node("Sqrt", [node("Add", [mean, eps], name + "/add")], name + "/sqrt")
        y = node("Mul", [x, node("Div", [one, root], name + "/div")], name + "/mul")
        return node("Mul", [const(name + ".weight", np.ones(shape.hidden, np.float32)), y], name)

    head, kv = shape.head, shape.kv * shape.head
    angle = shape.theta ** (-np.arange(0, head, 2, dtype=np.float32) / head)
    column = node("Reshape", ["position_ids", const("column", np.array([-1, 1], np.int64))], "at")
    angles = node("Mul", [node("Cast", [column], "at.float", to=T.FLOAT), const("frequencies", angle[None])], "angles")
    angles = node("Concat", [angles, angles], "angles.both", axis=-1)
    row = const("row", np.array([1, -1, 1, head], np.int64))
    cos, sin = (node("Reshape", [node(op, [angles], op), row], op + ".row") for op in ("Cos", "Sin"))
    by_token = {n: const(f"by.{n}", np.array([1, -1, n, head], np.int64)) for n in (shape.heads, shape.kv)}
    none = const("none", np.zeros(0, np.float32))
    x = node("Reshape", ["input_ids", const("tokens", np.array([1, -1, shape.hidden], np.int64))], "embed")
    for i in range(shape.layers):
        p, at = f"/layers.{i}/", f"/layers.{i}/self_attn/"
        y = norm(p + "input_layernorm", x)
        q, k, v = (node("Reshape", [product(f"{at}{n}_proj/Linear", y, count * head, shape.hidden, bias=True), by_token[count]], f"{at}{n}")
                   for n, count in (("q", shape.heads), ("k", shape.kv), ("v", shape.kv)))
        turned = [at + "q.turned", at + "k.turned"]
        stand_in("FusedRoPE", [q, k, cos, sin, none, none], turned, at + "FusedRoPE", rope_cut_head_dim=head, num_head=shape.heads, kv_num_head=shape.kv, head_dim=head,
                 q_norm_eps=0.0, k_norm_eps=0.0, q_norm=0, k_norm=0)
        a = stand_in("FusedAttention", [*turned, v, "attention_mask"], [at + "attention"], at + "FusedAttention", output_dim=shape.hidden, kv_cache=1,
                     layer_index=i, kv_shared_layer_index=-1, head_dim=head)
        x = node("Add", [x, product(at + "o_proj/Linear", a, shape.hidden, shape.hidden)], p + "Add")
        y = norm(p + "post_attention_layernorm", x)
        gate, up = (product(f"{p}mlp/{n}_proj/Linear", y, shape.intermediate, shape.hidden) for n in ("gate", "up"))
        silu = node("Mul", [gate, node("Sigmoid", [gate], p + "mlp/sigmoid")], p + "mlp/silu")
        down = product(p + "mlp/down_proj/Linear", node("Mul", [silu, up], p + "mlp/mul"), shape.hidden, shape.intermediate)
        x = node("Add", [x, down], p + "Add_1")
    ends = [const(n, np.array([v], np.int64)) for n, v in (("end", 2 ** 31 - 1), ("axis", 1), ("step", 1))]
    start = node("Cast", ["logits_index"], "start", to=T.INT64)
    x = norm("final_layernorm", node("Slice", [x, start, *ends], "last"))
    product("/lm/lm_head/Linear", x, shape.vocabulary, shape.hidden)
    nodes[-1].output[0] = "logits"
    inputs = [h.make_tensor_value_info("input_ids", T.FLOAT, ["seq_len", 1, shape.hidden]), h.make_tensor_value_info("attention_mask", T.FLOAT, [1, 1, "seq_len", "seq_len"]),
              h.make_tensor_value_info("position_ids", T.INT32, [1, "seq_len"]), h.make_tensor_value_info("logits_index", T.INT32, [1])]
    outputs = [h.make_tensor_value_info("logits", T.FLOAT, [1, "rows", shape.vocabulary])]
    return h.make_model(h.make_graph(nodes, "llm", inputs, outputs, weights), opset_imports=[h.make_opsetid("", 15), h.make_opsetid("LlmExporter", 1)], ir_version=8)


class Weights:
    """The file of weights; each piece follows the one before."""

    def __init__(self, path, bits):
        self.file, self.random, self.bits = open(path, "wb"), np.random.default_rng(1), bits

    def block(self, cols):
        return 32 if self.bits == 4 else cols

    def codes(self, rows, cols, bias):
        """A product's header, codes, scales and bias; returns its place and its parameters."""
        at, wide, half = self.file.tell(), max(rows, cols) > 65535, 1 << self.bits - 1
        header = b"\x02" + struct.pack("<ii" if wide else "<HH", rows, cols) + bytes([2 * half % 256]) + np.arange(-half, half, dtype=np.int8).tobytes()
        self.file.write(header)
        for first in range(0, rows, 4096):
            self.file.write(self.random.integers(0, 256, (min(4096, rows - first), cols * self.bits // 8), dtype=np.uint8).tobytes())
        scales = np.full(rows * cols // self.block(cols), 0.08 / (1 << self.bits), np.float16).tobytes()
        self.file.write(scales + bytes(4 * rows * bias))
        external = [at, len(header) + rows * cols * self.bits // 8, len(scales), 4 * rows * bias, 0]
        return external, len(header), {
            "quantScale": 1.0, "scaleIn": 0.0, "scaleOut": 0.0, "useInt32": False, "has_scaleInt": False, "shapeInt32": wide, "type": 1,
            "aMaxOrBits": self.bits, "aMin": 0, "readType": 0, "weightSize": 0, "scaleStorage": "FP16"}

    def norm(self, gamma, beta):
        at, gamma, beta = self.file.tell(), np.array(gamma, np.float32).tobytes(), np.array(beta, np.float32).tobytes()
        self.file.write(gamma + beta)
        return [at, len(gamma), len(beta)]


def linear(op, attrs, graph, weights):
    """The five operators that stand for a product."""
    name, rows, cols, bias = attrs["name"], attrs["out_features"], attrs["in_features"], attrs["has_bias"]
    external, header, quantised = weights.codes(rows, cols, bool(bias))
    ends = [op["inputIndexes"]]
    for step in ("/pre_reshape", "/pre_convert", "", "/post_convert"):
        ends.append([len(graph["tensorName"])])
        graph["tensorName"].append(name + step)
    ends.append(op["outputIndexes"])
    common = {"dilateX": 1, "dilateY": 1, "strideX": 1, "strideY": 1, "kernelX": 1, "kernelY": 1, "padX": 0, "padY": 0, "group": 1, "outputCount": rows,
              "relu": False, "padMode": "CAFFE", "relu6": False, "inputCount": cols, "hasOutputShape": False}
    steps = [
        ("/pre_reshape", "Reshape", "Reshape", {"dims": [-1, cols, 1, 1], "dimType": "NCHW"}),
        ("/pre_convert", "ConvertTensor", "TensorConvertInfo", {"source": "NCHW", "dest": "NC4HW4"}),
        ("", "Convolution", "Convolution2D", {"common": common, "quanParameter": quantised, "external": external}),
        ("/post_convert", "ConvertTensor", "TensorConvertInfo", {"source": "NC4HW4", "dest": "NCHW"}),
        ("/post_reshape", "Reshape", "Reshape", {"dims": [1, -1, rows], "dimType": "NCHW"}),
    ]
    made = [{"name": name + step, "type": kind, "main_type": main, "main": value, "inputIndexes": ends[i], "outputIndexes": ends[i + 1], "defaultDimentionFormat": "NHWC"}
            for i, (step, kind, main, value) in enumerate(steps)]
    return made, (external, header)


def rebuild(graph, old, weights):
    """Puts products, attention and rotation where the stand-ins are. Returns the place of the output matrix."""
    ops, last = [], None
    for op in graph["oplists"]:
        main = op.get("main") or {}
        if op["type"] == "LayerNorm" and "external" in main:
            at, gamma, beta = main["external"][:3]
            main["external"] = weights.norm(np.frombuffer(old, np.float32, gamma // 4, at), np.frombuffer(old, np.float32, beta // 4, at + gamma))
        elif op["type"] == "LayerNorm":
            main["external"] = weights.norm(main.pop("gamma"), main.pop("beta"))
        elif op["type"] == "Const" and "external" in main:
            at, size = main.pop("external")[:2]
            main["float32s"] = np.frombuffer(old, np.float32, size // 4, at).tolist()
        elif op["type"] == "Extra":
            attrs = {a["key"]: a.get("s", a.get("i")) for a in main["attr"]}
            same = {k: op[k] for k in ("inputIndexes", "outputIndexes", "defaultDimentionFormat")}
            if main["type"] == "FakeLinear":
                made, last = linear(op, attrs, graph, weights)
                ops += made
                continue
            if main["type"] == "FusedAttention":
                op = same | {"name": attrs["name"], "type": "Attention", "main_type": "AttentionParam",
                             "main": {"kv_cache": True, "layer_index": attrs["layer_index"], "kv_shared_layer_index": -1}}
            else:
                op = same | {"name": attrs["name"], "type": "RoPE", "main_type": "RoPEParam", "inputIndexes": op["inputIndexes"][:4],
                             "main": {k: attrs[k] for k in ("rope_cut_head_dim", "num_head", "kv_num_head", "head_dim")}}
        ops.append(op)
    graph["oplists"] = ops
    return last


def make(shape, folder, form):
    import _tools
    folder = pathlib.Path(folder)
    folder.mkdir()
    onnx_file, graph_file, model, weights_file = (folder / n for n in ("llm.onnx", "llm.json", "llm.mnn", "llm.mnn.weight"))
    onnx_file.write_bytes(skeleton(shape).SerializeToString())

    def convert(form, source, *args):
        _tools.mnnconvert(["", "-f", form, "--modelFile", str(source), *args, "--transformerFuseC4=1"])

    convert("ONNX", onnx_file, "--MNNModel", str(model), "--allowCustomOp", "--transformerFuse", "--weightQuantAsymmetric=0", "--saveExternalData")
    convert("MNN", model, "--JsonFile", str(graph_file))
    graph = json.loads(graph_file.read_text())
    weights = Weights(folder / "new.weight", {"int4": 4, "int8": 8}[form])
    external, header = rebuild(graph, weights_file.read_bytes() if weights_file.exists() else b"", weights)
    weights.file.close()
    (folder / "new.weight").rename(weights_file)
    graph_file.write_text(json.dumps(graph))
    convert("JSON", graph_file, "--MNNModel", str(model))
    convert("MNN", model, "--MNNModel", str(model), "--optimizeLevel=1")
    onnx_file.unlink()
    graph_file.unlink()
    (folder / "llm_config.json").write_text(json.dumps({
        "model_type": "qwen2", "hidden_size": shape.hidden, "layer_nums": shape.layers, "attention_mask": "float", "attention_type": "full", "is_mrope": False,
        "max_position_embeddings": 32768, "tie_embeddings": {
            "weight_offset": external[0] + header, "alpha_offset": external[0] + external[1], "alpha_size": external[2], "quant_bit": weights.bits, "quant_block": weights.block(shape.hidden), "alpha_dtype": "fp16"}}))
    # prompts are given as ids, so a tokenizer of one token will do
    (folder / "tokenizer.txt").write_text("430 1\n0 0 0\n\n1\nYQ==\n")


def settings(folder, threads):
    """The file that a program opens, for so many threads."""
    path = pathlib.Path(folder) / f"config-{threads}.json"
    path.write_text(json.dumps({"llm_model": "llm.mnn", "llm_weight": "llm.mnn.weight", "tokenizer_file": "tokenizer.txt", "backend_type": "cpu", "thread_num": threads,
                                "precision": "low", "memory": "low", "reuse_kv": False}))
    return str(path)


def opened(folder, threads):
    import MNN.llm as llm
    model = llm.create(settings(folder, threads))
    model.load()
    return model


def run(folder, prompt, answer, threads):
    import MNN.llm  # noqa: F401: its import is no part of loading a model
    from measure import ids, report
    start = time.perf_counter()
    model = opened(folder, threads)
    load = time.perf_counter() - start

    def prefill():
        model.reset()
        model.forward(ids(prompt)).read()

    report(load, prefill, lambda i: model.forward([i % 500 + 1]).read(), prompt, answer)


def first(folder, prompt, threads):
    from measure import ids, report_first
    report_first(lambda: opened(folder, threads).forward(ids(prompt)).read())


if __name__ == "__main__":
    if sys.argv[1] == "make":
        from shapes import SHAPES
        make(SHAPES[sys.argv[2]], *sys.argv[3:])
    elif sys.argv[1] == "run":
        run(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        first(sys.argv[2], *map(int, sys.argv[3:]))
