"""Remakes the results of exports whose MatMulNBits quantise activations (accuracy_level 4), with accuracy_level 0.

usage: accuracy0.py EXPORTS_DIR VARIANT OUT      writes OUT/CASE/{image_embeds,logits_last,tokens}.npy
"""
import json, os, struct, sys
import numpy as np, onnx, onnxruntime as ort

root, variant, out = sys.argv[1:4]
here, common = f"{root}/{variant}", f"{root}/common"
options = ort.SessionOptions()
options.intra_op_num_threads = 2
options.log_severity_level = 3


def session(name):
    path = f"{here}/{name}"
    if not os.path.exists(path): return None
    m = onnx.load(path)
    for n in m.graph.node:
        if n.op_type == "MatMulNBits":
            for a in n.attribute:
                if a.name == "accuracy_level": a.i = 0
    return ort.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(s, **feeds):
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
    feeds = {i.name: np.ascontiguousarray(feeds[i.name], types[i.type]) for i in s.get_inputs()}
    return dict(zip([o.name for o in s.get_outputs()], s.run(None, feeds)))


def table():
    with open(f"{common}/ckpt-tied/model.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        start = f.tell()
        entry = header["model.embed_tokens.weight"]
        f.seek(start + entry["data_offsets"][0])
        raw = np.frombuffer(f.read(entry["data_offsets"][1] - entry["data_offsets"][0]), np.uint16)
    return (raw.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


config = json.load(open(f"{common}/ckpt-tied/config.json"))
vision, embedding, decoder = session("vision.onnx"), session("embedding.onnx"), session("text.onnx") or session("model.onnx")
embeddings = table()
heads, width = config["num_key_value_heads"], config["hidden_size"] // config["num_attention_heads"]


def embed(ids, rows):
    if embedding: return run(embedding, input_ids=ids, image_features=rows)["inputs_embeds"]
    e = embeddings[ids].copy()
    e[(ids == config["image_token_id"]) | (ids == config["video_token_id"])] = rows
    return e


for case in ["text", "square", "wide", "two", "tall", "video"]:
    folder = f"{common}/cases-tied/{case}"
    c = {f[:-4]: np.load(f"{folder}/{f}") for f in os.listdir(folder)}
    rows = np.zeros((0, config["hidden_size"]), np.float32)
    if case != "text":
        rows = c["ref_image_embeds"]
        if vision:  # one call for each picture: a call's pictures must share a grid
            parts, at = [], 0
            for grid in c["grid_thw"]:
                n = int(grid.prod())
                parts.append(run(vision, pixel_values=c["pixel_values"][at:at + n], image_grid_thw=grid[None])["image_features"])
                at += n
            rows = np.concatenate(parts)
    past = {i.name: np.zeros((1, heads, 0, width), np.float32) for i in decoder.get_inputs() if i.name.startswith("past_key_values")}
    e, positions, tokens = embed(c["input_ids"], rows), c["position_ids"], []
    first = None
    for i in range(16):
        total = next(iter(past.values())).shape[2] + e.shape[1]
        o = run(decoder, inputs_embeds=e, attention_mask=np.ones((1, total)), position_ids=positions, **past)
        past = {k: o[k.replace("past_key_values", "present")] for k in past}
        logits = o["logits"][0, -1].astype(np.float32)
        if first is None: first = logits
        tokens.append(int(logits.argmax()))
        e = embed(np.array([[tokens[-1]]]), np.zeros((0, config["hidden_size"]), np.float32))
        positions = np.full((3, 1, 1), c["input_ids"].shape[1] + c["rope_delta"].item() + i)
    os.makedirs(f"{out}/{case}", exist_ok=True)
    np.save(f"{out}/{case}/logits_last.npy", first)
    np.save(f"{out}/{case}/tokens.npy", np.array(tokens, np.int64))
    if vision and case != "text": np.save(f"{out}/{case}/image_embeds.npy", rows.astype(np.float32))
