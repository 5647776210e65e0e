"""llama.cpp: writes a GGUF with random 4-bit blocks, and measures it.

usage: llama.py make SHAPE FILE | llama.py run FILE PROMPT ANSWER THREADS [plain]

plain: weights are read as they are stored, and not from buffers that are packed
anew for AMX and the like, whose kernels fault on some virtual machines.
"""
import sys
import time

import numpy as np


def make(shape, path):
    import gguf
    r = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, "qwen2")
    w.add_name("random")
    w.add_context_length(shape.context)
    w.add_embedding_length(shape.hidden)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.intermediate)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.kv)
    w.add_rope_freq_base(shape.theta)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    # byte-level BPE without merges: prompts are given as ids
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list([f"<{i}>" for i in range(shape.vocabulary)])
    w.add_token_types([gguf.TokenType.NORMAL] * shape.vocabulary)
    w.add_token_merges(["a b"])
    w.add_eos_token_id(0)

    def blocks(name, rows, cols):
        raw = r.integers(0, 256, (rows, cols // 32, 18), dtype=np.uint8)
        raw[:, :, :2] = np.full((rows, cols // 32), 0.005, np.float16).view(np.uint8).reshape(rows, cols // 32, 2)
        w.add_tensor(name, raw.reshape(rows, -1), raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    def ones(name, n, value=1.0):
        w.add_tensor(name, np.full(n, value, np.float32))

    blocks("token_embd.weight", shape.vocabulary, shape.hidden)
    ones("output_norm.weight", shape.hidden)
    kv = shape.kv * shape.head
    for i in range(shape.layers):
        b = f"blk.{i}."
        ones(b + "attn_norm.weight", shape.hidden)
        ones(b + "ffn_norm.weight", shape.hidden)
        for name, rows in (("q", shape.hidden), ("k", kv), ("v", kv)):
            blocks(f"{b}attn_{name}.weight", rows, shape.hidden)
            ones(f"{b}attn_{name}.bias", rows, 0.0)
        blocks(b + "attn_output.weight", shape.hidden, shape.hidden)
        blocks(b + "ffn_gate.weight", shape.intermediate, shape.hidden)
        blocks(b + "ffn_up.weight", shape.intermediate, shape.hidden)
        blocks(b + "ffn_down.weight", shape.hidden, shape.intermediate)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def run(path, prompt, answer, threads, plain):
    import ctypes
    import llama_cpp as l
    from measure import report
    quiet = l.llama_log_callback(lambda *_: None)
    l.llama_log_set(quiet, ctypes.c_void_p(0))
    start = time.perf_counter()
    l.llama_backend_init()
    settings = l.llama_model_default_params()
    settings.use_extra_bufts = not plain
    model = l.llama_model_load_from_file(path.encode(), settings)
    params = l.llama_context_default_params()
    params.n_ctx = prompt + answer + 8
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = threads
    context = l.llama_init_from_model(model, params)
    load = time.perf_counter() - start
    if not context:
        raise SystemExit(f"{path}: llama.cpp does not load it")

    def take(ids):
        tokens = (l.llama_token * len(ids))(*ids)  # the batch points there
        if l.llama_decode(context, l.llama_batch_get_one(tokens, len(ids))) != 0:
            raise SystemExit(f"{path}: llama.cpp does not take {len(ids)} tokens")
        l.llama_get_logits(context)  # waits for them

    def prefill():
        l.llama_memory_clear(l.llama_get_memory(context), True)
        take([(7 * i) % 1000 + 1 for i in range(prompt)])

    report(load, prefill, lambda i: take([i % 1000 + 1]), prompt, answer)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        from shapes import SHAPES
        make(SHAPES[sys.argv[2]], sys.argv[3])
    else:
        run(sys.argv[2], *map(int, sys.argv[3:6]), plain=sys.argv[6:] == ["plain"])
