"""Shapes of the language models that are measured, as Qwen2.5 publishes them, and
that of the small trained model."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    name: str
    hidden: int
    layers: int
    heads: int
    kv: int
    intermediate: int
    vocabulary: int = 151936
    theta: float = 1e6
    context: int = 1024

    @property
    def head(self):
        return self.hidden // self.heads


SHAPES = {s.name: s for s in (
    Shape("0.5b", 896, 24, 14, 2, 4864),
    Shape("3b", 2048, 36, 16, 2, 11008),
    Shape("tiny", 256, 4, 4, 2, 520, vocabulary=544, theta=1e4),
)}
