"""First-step logits of 16 tokens and image rows of one picture by onnxruntime's CPU kernels, its optimiser off, so that
every operator computes what its specification says and weights stay mapped.

    reference.py MODEL INPUTS OUT

MODEL is a model folder in transformers.js' layout, float16. INPUTS holds ids.npy [1, S], positions.npy [3, 1, S],
pixels.npy [P, 1176] and grid.npy [1, 3]; OUT gets logits.npy [vocabulary] and rows.npy [P / 4, width], float32.
"""
import sys
import numpy as np
import onnxruntime as ort

model, inputs, out = sys.argv[1:]
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 3


def session(name):
    return ort.InferenceSession(f"{model}/onnx/{name}_fp16.onnx", options, providers=["CPUExecutionProvider"])


def load(name):
    return np.load(f"{inputs}/{name}.npy")


rows = session("vision_encoder").run(None, {"pixel_values": load("pixels").astype(np.float16), "image_grid_thw": load("grid")})[0]
np.save(f"{out}/rows.npy", rows.astype(np.float32))

embeddings = session("embed_tokens").run(None, {"input_ids": load("ids")})[0]
decoder = session("decoder_model_merged")
feed = {
    "inputs_embeds": embeddings,
    "attention_mask": np.ones(embeddings.shape[:2], np.int64),
    "position_ids": load("positions"),
    "num_logits_to_keep": np.array(1, np.int64),
}
for i in decoder.get_inputs():
    if i.name.startswith("past_key_values"):
        feed[i.name] = np.zeros((1, i.shape[1], 0, i.shape[3]), np.float16)
np.save(f"{out}/logits.npy", decoder.run(["logits"], feed)[0].reshape(-1).astype(np.float32))
