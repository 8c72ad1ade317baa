"""The matrix library is held to one thread."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pickcell.blas import limit_blas_threads


def test_products_use_one_thread() -> None:
    """With one thread the processor time of a large product cannot exceed its wall time."""
    if limit_blas_threads(1) == 0:
        pytest.skip("numpy was not built with OpenBLAS here")
    a = np.random.default_rng(0).random((900, 900))
    a @ a
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(10):
        a @ a
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert cpu < 1.2 * wall + 0.02


def test_no_threads_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        limit_blas_threads(0)
