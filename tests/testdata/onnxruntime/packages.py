"""Checks packages with onnx and runs them with onnxruntime.

usage: packages.py CASES PACKAGE...

CASES holds a folder of .npy arrays for each question: input_ids, position_ids,
pixel_values and grid_thw, for each picture K the indexes NAME.K of its grid, and
what is compared with, if it is there: want_rows, want_logits, embeddings (of all
tokens, in the place of ids and pictures). The first package is the uncut one.

Prints, for each package that the onnx checker accepts, a line of JSON: how many
copies it has, whether each question gives the bits of the uncut package (as it is,
and with each float16 value rounded), and the largest errors.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort

CAPACITY = 512
DECODED = 4  # tokens after the prompt


def session(path, rounded):
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.log_severity_level = 3
    if not rounded:
        return ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    o.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    model = onnx.load(path, load_external_data=False)
    round_float16(model.graph)
    return ort.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"])


def round_float16(graph):
    """Puts an Identity behind every node that makes float16.

    onnxruntime's CPU computes most operators of float16 in float32, between two
    Casts. It drops the two Casts between neighbours even with its optimiser off,
    and so rounds a value or not by who reads it. Behind an Identity it must round.
    """
    made = {v.name for v in graph.value_info if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    nodes = list(graph.node)
    del graph.node[:]
    for n in nodes:
        graph.node.append(n)
        for k, name in enumerate(graph.node[-1].output):
            if name in made:
                graph.node[-1].output[k] = name + ".exact"
        for name in n.output:
            if name in made:
                graph.node.append(onnx.helper.make_node("Identity", [name + ".exact"], [name]))


def dtype(i):
    return {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32}[i.type]


def shaped(i, values):
    """Gives flat values the dtype and the shape that an input declares."""
    shape = [d if isinstance(d, int) else -1 for d in i.shape]
    return values.astype(dtype(i)).reshape(shape)


class Package:
    def __init__(self, folder, rounded):
        folder = pathlib.Path(folder)
        self.encode = session(folder / "encode.onnx", rounded)
        self.extend = session(folder / "extend.onnx", rounded)
        self.states = {}  # output to input
        for v in onnx.load(folder / "extend.onnx", load_external_data=False).graph.output:
            for p in v.metadata_props:
                if p.key == "mnnconv.state":
                    self.states[v.name] = p.value

    def rows(self, case):
        """Runs the vision tower over each picture."""
        if "grid_thw" not in case:
            return []
        pixels, out = case["pixel_values"], []
        for k, grid in enumerate(case["grid_thw"].reshape(-1, 3)):
            n = int(grid.prod())
            feed = {}
            for i in self.encode.get_inputs():
                values = pixels[:n] if i.name == "pixel_values" else case[i.name.rstrip("'") + f".{k}"]
                feed[i.name] = shaped(i, values)
            out.append(self.encode.run(["image_rows"], feed)[0])
            pixels = pixels[n:]
        return out

    def run(self, case, image_tokens):
        """Answers: image rows, the logits of each step, and the last states."""
        ids, positions = case["input_ids"].reshape(-1), case["position_ids"].reshape(3, -1)
        rows = self.rows(case)
        at = np.flatnonzero(np.isin(ids, image_tokens))
        merged = rows
        if "embeddings" in case:
            merged, at = [case["embeddings"].reshape(len(ids), -1)], np.arange(len(ids))
        inputs = {i.name: i for i in self.extend.get_inputs()}
        states = {}
        for name in self.states.values():
            shape = [d if isinstance(d, int) else CAPACITY for d in inputs[name].shape]
            states[name] = np.zeros(shape, dtype(inputs[name]))
        wide = inputs["image_rows"].shape[1]
        empty = np.zeros((0, wide), dtype(inputs["image_rows"]))
        logits, past = [], 0
        for _ in range(1 + DECODED):
            n = len(ids)
            step = np.concatenate([ids[None], positions, np.arange(past, past + n)[None]]).reshape(5, 1, n).astype(np.int64)
            image = np.concatenate([r.astype(empty.dtype) for r in merged]) if merged else empty
            where = np.stack([np.zeros_like(at), at], 1).astype(np.int64)
            outs = self.extend.run(None, {"step": step, "image_rows": image, "image_rows_at": where} | states)
            named = dict(zip([o.name for o in self.extend.get_outputs()], outs))
            logits.append(named["logits"])
            states = {self.states[o]: named[o] for o in self.states}
            past += n
            ids = logits[-1].reshape(-1).argmax(keepdims=True)
            positions = np.full((3, 1), positions.max() + 1)
            merged, at = [], np.zeros(0, np.int64)
        return rows + logits + list(states.values()), rows, logits


def error(got, want):
    got = np.concatenate([g.reshape(-1) for g in got]).astype(np.float64)
    want = want.reshape(-1).astype(np.float64)
    return float(np.abs(got - want[len(want) - len(got):]).max())


def same(a, b):
    return len(a) == len(b) and all(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a, b))


def main(cases, *packages):
    image_tokens = json.loads((pathlib.Path(cases).parent / "image_tokens.json").read_text())
    questions = {}
    for folder in sorted(pathlib.Path(cases).iterdir()):
        questions[folder.name] = {f.stem: np.load(f) for f in folder.glob("*.npy")}
    uncut = {}
    for path in packages:
        copies = 0
        for graph in sorted(pathlib.Path(path).glob("*.onnx")):
            onnx.checker.check_model(graph, full_check=True)
            nodes = onnx.load(graph, load_external_data=False).graph.node
            copies += sum(n.domain == "mnnconv" and n.op_type == "Copy" for n in nodes)
        package, rounded = Package(path, False), Package(path, True)
        result = {"package": path, "copies": copies, "questions": {}}
        for name, case in questions.items():
            everything, rows, logits = package.run(case, image_tokens)
            in_steps = rounded.run(case, image_tokens)[0]
            whole, whole_in_steps = uncut.setdefault(name, (everything, in_steps))
            q = {
                "same": same(everything, whole),
                "same_rounded": same(in_steps, whole_in_steps),
                "finite": all(np.isfinite(x).all() for x in everything),
                "tokens": [int(x.argmax()) for x in logits],
            }
            if "want_rows" in case:
                q["rows_error"] = error(rows, case["want_rows"])
            if "want_logits" in case:
                q["logits_error"] = error(logits[:1], case["want_logits"])
            result["questions"][name] = q
        print(json.dumps(result), flush=True)


main(*sys.argv[1:])
