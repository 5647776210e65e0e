"""Packs the small model's reference data into this folder: conversations as they are, the cases' inputs as NumPy's .npz,
every tenth of the 200 questions, two quantised exports as .zip. The same data gives the same bytes. Tested in ../../accept_test.go.

    python3 pack.py SHARED    # SHARED/tinyvl holds exports/, golden/, cases/ and vqa/
"""

import json
import os
import shutil
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = ["input_ids", "attention_mask", "position_ids", "rope_delta", "pixel_values", "grid_thw", "window_index", "cu_window_seqlens"]
EXPORTS = ["tjs-q4f16", "olive-cpu-int4"]
LEFT_OUT = {"pixel_values.npy", "summary.json"}  # made from the pictures; about the exporters


def pack(target, files):
    """target: a zip file of (name, path) in the order of names"""
    with zipfile.ZipFile(target, "w") as z:
        for name, path in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with open(path, "rb") as f:
                z.writestr(entry, f.read(), compresslevel=9)


def below(folder):
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            yield os.path.relpath(path, folder), path


def main(source):
    for folder in ("golden", "cases"):
        shutil.rmtree(os.path.join(HERE, folder), ignore_errors=True)
    for name, path in below(os.path.join(source, "golden")):
        if os.path.basename(name) not in LEFT_OUT:
            to = os.path.join(HERE, "golden", name)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copyfile(path, to)
    os.makedirs(os.path.join(HERE, "cases"))
    for case in sorted(os.listdir(os.path.join(source, "cases"))):
        folder = os.path.join(source, "cases", case)
        arrays = [(n + ".npy", os.path.join(folder, n + ".npy")) for n in INPUTS]
        pack(os.path.join(HERE, "cases", case + ".npz"), [a for a in arrays if os.path.exists(a[1])])
    shutil.rmtree(os.path.join(HERE, "vqa"), ignore_errors=True)
    os.makedirs(os.path.join(HERE, "vqa", "images"))
    with open(os.path.join(source, "vqa", "questions.jsonl")) as f, open(os.path.join(HERE, "vqa", "questions.jsonl"), "w") as to:
        for line in f.readlines()[5::10]:
            to.write(line)
            q = json.loads(line)
            for name in q.get("images", []) + q.get("video", []):
                shutil.copyfile(os.path.join(source, "vqa", name), os.path.join(HERE, "vqa", name))
    for export in EXPORTS:
        files = below(os.path.join(source, "exports", export))
        keep = [f for f in files if os.path.basename(f[0]) not in LEFT_OUT | {"image_embeds.npy"}]
        pack(os.path.join(HERE, export + ".zip"), keep)


main(os.path.join(sys.argv[1], "tinyvl"))
