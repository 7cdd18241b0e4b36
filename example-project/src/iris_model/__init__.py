from __future__ import annotations

from iris_model.prediction import predict

__all__ = ["predict"]
