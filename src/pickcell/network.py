"""Trained networks at work: ONNX files, run by ONNX Runtime on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.resources import shared_directory

MODELS_DIR_VARIABLE = "PICKCELL_MODELS_DIR"


class ModelError(ValueError):
    """A network that cannot be used; the message names its file and says what to do."""


def models_directory() -> Path:
    """The folder of trained networks: ``$PICKCELL_MODELS_DIR`` when set, else ``models/``."""
    return shared_directory("models", MODELS_DIR_VARIABLE)


class Network:
    """One network with one input and one output, both (N, channels, height, width). Several threads may ask at once."""

    def __init__(self, path: Path, made_by: str, threads: int = 2) -> None:
        """``made_by``: the command that makes such a file. Raises ModelError when it is missing or is no network."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # threads that spin for work keep the cores from the stages around this one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # the runtime has no exceptions of its own worth telling apart
            raise ModelError(f"{path}: no usable network ({problem}); {made_by} makes one") from None
        self._input = self._session.get_inputs()[0].name
        self.channels_in = int(self._session.get_inputs()[0].shape[1])
        self.channels_out = int(self._session.get_outputs()[0].shape[1])

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The answers (N, channels_out, h, w) to a batch (N, channels_in, height, width)."""
        return np.asarray(self._session.run(None, {self._input: batch})[0])
