"""llama.cpp: writes a GGUF with random weights, 4 bits in blocks of 32 or 16 bits,
and measures it.

usage: llama.py make SHAPE FILE int4|fp16 | llama.py run FILE PROMPT ANSWER THREADS | llama.py first FILE PROMPT THREADS
"""
import sys
import time

import numpy as np


def make(shape, path, form):
    import gguf
    r = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, "qwen2", use_temp_file=True)
    w.add_name("random")
    w.add_context_length(shape.context)
    w.add_embedding_length(shape.hidden)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.intermediate)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.kv)
    w.add_rope_freq_base(shape.theta)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0 if form == "int4" else gguf.LlamaFileType.MOSTLY_F16)
    # byte-level BPE without merges: prompts are given as ids
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list([f"<{i}>" for i in range(shape.vocabulary)])
    w.add_token_types([gguf.TokenType.NORMAL] * shape.vocabulary)
    w.add_token_merges(["a b"])
    w.add_eos_token_id(0)

    def blocks(name, rows, cols):
        if form == "fp16":
            numbers = r.integers(-128, 128, (rows, cols), dtype=np.int8).astype(np.float16)
            numbers *= np.float16(0.0003)
            w.add_tensor(name, numbers)
            return
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


def opened(path, tokens, threads):
    """Opens a model for so many tokens; returns what takes tokens, and what forgets them."""
    import ctypes
    import llama_cpp as l
    quiet = l.llama_log_callback(lambda *_: None)
    l.llama_log_set(quiet, ctypes.c_void_p(0))
    l.llama_backend_init()
    model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
    params = l.llama_context_default_params()
    params.n_ctx = tokens + 8
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = threads
    context = model and l.llama_init_from_model(model, params)
    if not context:
        raise SystemExit(f"{path}: llama.cpp does not load it")

    def take(ids):
        tokens = (l.llama_token * len(ids))(*ids)  # the batch points there
        if l.llama_decode(context, l.llama_batch_get_one(tokens, len(ids))) != 0:
            raise SystemExit(f"{path}: llama.cpp does not take {len(ids)} tokens")
        l.llama_get_logits(context)  # waits for them

    take.quiet = quiet  # is called as long as the model is there
    return take, lambda: l.llama_memory_clear(l.llama_get_memory(context), True)


def run(path, prompt, answer, threads):
    import llama_cpp  # noqa: F401: its import is no part of loading a model
    from measure import ids, report
    start = time.perf_counter()
    take, forget = opened(path, prompt + answer, threads)
    load = time.perf_counter() - start

    def prefill():
        forget()
        take(ids(prompt))

    report(load, prefill, lambda i: take([i % 500 + 1]), prompt, answer)


def first(path, prompt, threads):
    from measure import ids, report_first
    report_first(lambda: opened(path, prompt, threads)[0](ids(prompt)))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        from shapes import SHAPES
        make(SHAPES[sys.argv[2]], *sys.argv[3:])
    elif sys.argv[1] == "run":
        run(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        first(sys.argv[2], *map(int, sys.argv[3:]))
