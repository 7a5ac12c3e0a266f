"""Models by their usual names, in forms that fit small images."""

from trainables.models.build import MODEL_NAMES, build_model

__all__ = ["MODEL_NAMES", "build_model"]
