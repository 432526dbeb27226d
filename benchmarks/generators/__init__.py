"""A generator of histories of any size: a simulated concurrent execution against a model, so that every history is valid until a violation is planted."""

from .generate import MODELS, Settings, generate
from .plant import VIOLATIONS, plant

__all__ = ["MODELS", "VIOLATIONS", "Settings", "generate", "plant"]
