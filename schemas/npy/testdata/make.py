"""Writes the .npy files of this folder: run with NumPy 1.23 or newer."""
import numpy as np

a = np.array([[0, 1, 2], [3, 4, 5]])
for t in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split():
    np.save(t, (a % 2 if t == "bool" else a).astype(t))
np.save("fortran", np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
np.save("scalar", np.array(7, np.int64))
np.save("empty", np.zeros((0, 3), np.float32))
np.save("bigendian", a.astype(">f4"))
np.save("structured", np.zeros(2, [("x", "<f4"), ("y", "<i8")]))
np.save("text", np.array(["a", "bc"]))
np.save("complex", a.astype(np.complex64))
for version in (2, 3):
    with open(f"version{version}.npy", "wb") as f:
        np.lib.format.write_array(f, a.astype(np.float32), (version, 0))
