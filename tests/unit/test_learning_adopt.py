"""Going on from a network that is in use: it answers as before, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training is optional")
pytest.importorskip("onnx", reason="training is optional")

import torch

from pickcell.learning import training
from pickcell.learning.adopt import adopt
from pickcell.learning.unet import unet
from pickcell.network import ModelError, Network

SHAPE = (3, 16, 24)


def _network(widths: tuple[int, ...] = (4, 6, 8)) -> torch.nn.Module:
    squeeze = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, bias=False), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
    return unet(squeeze, 4, widths, 2)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    net = _network()
    for _ in range(3):  # normalisations that do something
        net.train()(3.0 * torch.randn(8, *SHAPE) + 1.0)
    path = tmp_path_factory.mktemp("net") / "kept.onnx"
    training.export(net, path, SHAPE, "x", "y")
    return path


def test_the_network_answers_as_the_one_it_goes_on_from(kept: Path) -> None:
    torch.manual_seed(2)
    net, x = _network(), torch.randn(2, *SHAPE)
    adopt(net, kept, torch.randn(8, *SHAPE))
    with torch.no_grad():
        said = net.eval()(x).numpy()
    np.testing.assert_allclose(said, Network(kept, "").run(x.numpy()), atol=1e-4)


def test_training_goes_on_from_it(kept: Path, tmp_path: Path) -> None:
    target = torch.tensor(Network(kept, "").run(np.ones((1, *SHAPE), np.float32)))

    def loss_of(net: torch.nn.Module, index: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        return (net(torch.ones(len(index), *SHAPE)) - target).square().mean()

    said: list[str] = []
    config = training.Fit(minutes=0.001, batch=2, start=kept)
    ones = torch.ones(1, *SHAPE)
    training.fit(
        _network(), 4, loss_of, lambda net: float((net.eval()(ones) - target).square().mean().detach()), config,
        tmp_path / "c.pt", lambda index: torch.randn(len(index), *SHAPE), said.append,
    )  # fmt: skip
    assert f"starting from {kept}: held out 0.0000" in said[0]
    with pytest.raises(ModelError, match="afresh"):  # the checkpoint is of a training that began there
        training.fit(
            _network(), 4, loss_of, lambda net: 0.0, training.Fit(minutes=0.001), tmp_path / "c.pt",
            lambda index: torch.randn(len(index), *SHAPE), said.append,
        )  # fmt: skip
    assert config.options().endswith(f"--start {kept}")


def test_a_network_of_another_shape_is_refused(kept: Path) -> None:
    for other in (_network((4, 6)), _network((4, 6, 8, 8)), _network((6, 6, 8))):
        with pytest.raises(ModelError, match="another shape"):
            adopt(other, kept, torch.randn(2, *SHAPE))


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    for path in (tmp_path / "x.onnx", tmp_path / "absent.onnx"):
        with pytest.raises(ModelError, match=path.name):
            adopt(_network(), path, torch.randn(2, *SHAPE))
