"""Writes oracle.jsonl.gz: what Hugging Face's tokenizers (0.23.3) makes of variants of tinyvl.json.

Each line is one variant: "patch" replaces top-level values of tinyvl.json, "model" values of its model, "drop" lists
tokens to take out of the vocabulary (with their merges); "encode" holds [text, ids], "decode" [ids, skip, text].
"""
import gzip, json, random
from tokenizers import Tokenizer

BASE = json.load(open("tinyvl.json"))
QWEN = BASE["pre_tokenizer"]["pretokenizers"][0]
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
PIECES = ["a", "the circle", " red", "  ", " ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u0085", "\u200b", "'s", "'S", "'\u017f", "'ll", "'LL",
          "'re", "don't", "1", "23", "\u00b2", "\u0663", "\u2167", ".", "!?", "<|", "|>", "<|im_start|>", "<|im_end|>", "<tool>", "</tool>",
          "e\u0301", "\u00e9", "\u0301", "A\u030a", "\u212b", "\u212a", "\u1e9b\u0323", "\uac00", "\u1100\u1161\u11a8", "\u0915\u093c", "\u4e2d\u6587",
          "\uff21", "\ufb01", "\u2460", "\U0001f600", "\U0001f469\u200d\U0001f680", "\ufdd0", "\ufffd", "\x00", "_", "__", "\u00e9a", "e\u0301a", "ing", "going", "in", "\u00df", "\u0130",
          "a\u0327\u0301\u0323", "\u0344", "\u0f73", "\u2126", "\U0001d15e", "\u0340", "\u05d0\u05b8\u05bc"]


def added(*tokens):
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    return BASE["added_tokens"] + [dict(flags, id=516 + i, **t) for i, t in enumerate(tokens)]


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


VARIANTS = [
    {},
    *({"patch": {"normalizer": n}} for n in [None, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"},
      {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "NFC"}]}]),
    {"patch": {"added_tokens": added(dict(content="ing", single_word=True), dict(content="<tool>", lstrip=True), dict(content="</tool>", rstrip=True),
                                     dict(content="__", lstrip=True, rstrip=True), dict(content="<|", special=True), dict(content=" red"))}},
    {"patch": {"added_tokens": added(dict(content="\u00e9a", normalized=True), dict(content="\u0301"), dict(content="\u212b", normalized=True),
                                     dict(content="oin", normalized=True), dict(content="going", normalized=True, single_word=True))}},
    {"patch": {"pre_tokenizer": dict(BYTES, use_regex=True)}},
    {"patch": {"pre_tokenizer": dict(BYTES, use_regex=True, add_prefix_space=True)}},
    {"patch": {"pre_tokenizer": sequence(QWEN, dict(BYTES, add_prefix_space=True))}},
    {"patch": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, dict(BYTES, use_regex=True))}},
    {"patch": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, BYTES)}},
    {"patch": {"pre_tokenizer": sequence(split(QWEN["pattern"], "Removed", True), BYTES)}},
    {"patch": {"pre_tokenizer": sequence(split({"Regex": r"\s"}, "Removed"), split({"String": "."}), BYTES)}},
    {"patch": {"pre_tokenizer": sequence(split({"Regex": r"\p{N}{1,3}"}), split({"Regex": r"^.|[\u4e00-\u9fa5]+"}), sequence(QWEN, BYTES))}},
    {"model": {"ignore_merges": True}},
    {"model": {"byte_fallback": True}, "drop": ["\u00c3", "z", "q", "\u010a"]},
    {"model": {"unk_token": "!"}, "drop": ["\u00c3", "z", "q", "\u010a"]},
    {"model": {"unk_token": "!", "fuse_unk": True}, "drop": ["\u00c3", "\u00e2", "\u00cc", "z", "q"]},
    {"drop": ["\u00c3", "\u00e2", "z"]},
]


def build(variant):
    base = json.loads(json.dumps(BASE))
    base.update(variant.get("patch", {}))
    model = base["model"]
    model.update(variant.get("model", {}))
    drop = variant.get("drop", [])
    model["merges"] = [m for m in model["merges"] if not any(d in t for d in drop for t in m)]
    model["vocab"] = {t: i for t, i in model["vocab"].items() if not any(d in t for d in drop)}
    if drop:  # Hugging Face numbers added tokens anew unless the vocabulary has them
        model["vocab"].update({a["content"]: a["id"] for a in base["added_tokens"]})
    if "byte_fallback" in variant.get("model", {}):
        model["vocab"].update({"<0x%02X>" % b: 600 + b for b in range(256)})
    return base


def main():
    rng = random.Random(11)
    with gzip.GzipFile("oracle.jsonl.gz", "wb", mtime=0) as out:
        for v in VARIANTS:
            tok = Tokenizer.from_str(json.dumps(build(v)))
            texts = ["".join(rng.choices(PIECES, k=rng.randint(1, 12))) for _ in range(150)]
            texts += ["a" + "\u0301\u0323" * 40 + "b", "\u0301" * 70, "x\u0323" + "\u0327" * 31 + "\u0301", "\u1100" + "\u0323" * 40 + "\u1161", "zq\u00e9zz\n\nq"]
            encode = [[t, tok.encode(t, add_special_tokens=False).ids] for t in texts]
            decode = []
            for _ in range(40):
                ids, skip = [rng.randrange(-1, 530) % 10**6 for _ in range(rng.randint(1, 9))], rng.random() < .5
                decode.append([ids, skip, tok.decode(ids, skip_special_tokens=skip)])
            out.write((json.dumps(dict(v, encode=encode, decode=decode)) + "\n").encode())


if __name__ == "__main__":
    main()
