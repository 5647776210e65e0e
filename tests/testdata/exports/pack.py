"""Packs the graphs of real exports without their weights, which raising does not look at.

usage: pack.py EXPORTS_DIR OUT.zip
Tensors of more than 256 bytes become external data of zeros.data, which a test makes as a file of nothing; weights in
Constant nodes become zeros. Stack traces and other metadata go.
"""
import io, os, sys, zipfile
import onnx
from onnx import TensorProto, external_data_helper as X

root, out = sys.argv[1:]
KEEP = {"config.json", "llm_config.json", "genai_config.json", "tokenizer_config.json"}


def strip(graph, at):
    for n in graph.node:
        del n.metadata_props[:]
        n.doc_string = ""
        for a in n.attribute:
            if a.type == onnx.AttributeProto.GRAPH: at = strip(a.g, at)
            if a.type == onnx.AttributeProto.TENSOR and a.t.data_type in (1, 10, 16) and len(a.t.raw_data) > 4096:
                a.t.raw_data = bytes(len(a.t.raw_data))
    del graph.value_info[:]
    del graph.metadata_props[:]
    for t in graph.initializer:
        size = len(t.raw_data)
        if t.data_location == TensorProto.EXTERNAL:
            size = int(next(e.value for e in t.external_data if e.key == "length"))
        if size <= 256: continue
        t.ClearField("raw_data")
        del t.external_data[:]
        t.data_location = TensorProto.EXTERNAL
        for k, v in (("location", "zeros.data"), ("offset", str(at)), ("length", str(size))):
            t.external_data.add(key=k, value=v)
        at += -(-size // 64) * 64
    return at


with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    def put(name, data):
        info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        z.writestr(info, data, compresslevel=9)
    for variant in sorted(os.listdir(root)):
        if variant in ("common", "recipe"): continue
        for folder, _, files in sorted(os.walk(f"{root}/{variant}")):
            for f in sorted(files):
                path = f"{folder}/{f}"
                name = os.path.relpath(path, root)
                if f.endswith(".onnx"):
                    m = onnx.load(path, load_external_data=False)
                    m.doc_string = ""
                    del m.metadata_props[:]
                    for t in m.graph.initializer:  # small external tensors come in
                        if t.data_location == TensorProto.EXTERNAL and int(next(e.value for e in t.external_data if e.key == "length")) <= 256:
                            X.load_external_data_for_tensor(t, folder)
                            t.data_location = TensorProto.DEFAULT
                            del t.external_data[:]
                    strip(m.graph, 0)
                    put(name, m.SerializeToString(deterministic=True))
                elif f in KEEP and os.path.dirname(name) == variant:
                    put(name, open(path, "rb").read())
