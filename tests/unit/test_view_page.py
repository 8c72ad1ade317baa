"""The page in the browser, with a real server where viser is installed; and what the command says when it cannot open it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pickcell.geometry import make_pose
from pickcell.view import page as page_module
from pickcell.view.marks import Box, Drawing, Edges, Frustum, Label, Layer, Points
from pickcell.view.page import INSTALL, DrawError, Page, PageError
from pickcell_sim.bench.suites import load_suite
from pickcell_sim.data.generate import SceneJob
from pickcell_sim.view.__main__ import app
from pickcell_sim.view.sources import SceneFolder, SimTote

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PILE = load_suite("pile").model_copy(update={"split": "train"})


@pytest.fixture
def port() -> int:
    with socket.create_server((HOST, 0)) as held:
        return int(held.getsockname()[1])


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as held:
        yield int(held.getsockname()[1])


def drawing(name: str) -> Drawing:
    """All kinds of marks, some with nothing in them."""
    if name == "bad":
        raise DrawError("the file is damaged")
    points = Points("p", np.zeros((4, 3)), np.full((4, 3), 200), 0.003)
    nothing = Points("none", np.zeros((0, 3)), np.zeros((0, 3)), 0.003)
    box = Box("b", make_pose((0.1, 0.2, 0.3), (0.1, 0.2, 0.3)), np.array([0.1, 0.2, 0.3]), (10, 20, 30), 0.5)
    edges, no_edges = Edges("e", np.zeros((2, 2, 3)), (1, 2, 3)), Edges("none", np.zeros((0, 2, 3)), (1, 2, 3))
    frustum = Frustum("c", make_pose((0.0, 0.0, 1.0)), 0.8, np.zeros((48, 64, 3), np.uint8))
    layers = (
        Layer("dots", "Dots", (points, nothing)),
        Layer("boxes", "Boxes", (box, edges, no_edges), shown=False),
        Layer("rest", "Rest", (frustum, Label("w", name, np.zeros(3)))),
    )
    return Drawing(layers, f"this is {name}", "| a |\n|---|", np.array([0.5, 0.0, 0.0]))


def node(page: Page, path: str) -> Any:
    return page._server.scene.get_handle_by_name(path)


def test_the_page_is_served_and_shows_the_first_scene(port: int) -> None:
    pytest.importorskip("viser")
    with Page(["one", "two"], drawing, HOST, port) as page:
        assert page.url == f"http://{HOST}:{port}"
        answer = urllib.request.urlopen(page.url, timeout=20).read()
        assert b"<html" in answer.lower() and len(answer) > 10_000
        assert page._text.content == "this is one"
        assert all(node(page, path) for path in ("/dots/p", "/boxes/b", "/boxes/e", "/rest/c", "/rest/w"))
        assert not node(page, "/dots/none") and not node(page, "/boxes/none"), "nothing is drawn of nothing"
        assert node(page, "/dots").visible and not node(page, "/boxes").visible
    with socket.create_server((HOST, port)):
        pass  # it is free again


def test_scenes_and_layers_are_switched(port: int) -> None:
    pytest.importorskip("viser")
    with Page(["one", "bad", "two"], drawing, HOST, port) as page:
        page._checkboxes["boxes"].value = True
        page._checkboxes["dots"].value = False
        assert node(page, "/boxes").visible and not node(page, "/dots").visible
        page._step("next")
        assert "bad cannot be shown" in page._text.content and "damaged" in page._text.content
        assert not node(page, "/boxes")
        page._step("next")
        assert page._text.content == "this is two" and node(page, "/boxes/b")
        assert node(page, "/boxes").visible and not node(page, "/dots").visible, "as it was left"
        page._step("next")
        assert page._text.content == "this is one", "round and round"
        page._step("previous")
        assert page._text.content == "this is two"
        page.show("one")
        assert page._text.content == "this is two", "what is no longer wanted is not drawn"


def test_clicks_from_several_threads_end_at_what_was_chosen_last(port: int) -> None:
    pytest.importorskip("viser")
    with Page(["one", "two"], drawing, HOST, port) as page:
        threads = [threading.Thread(target=page._step, args=("next",)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert page._text.content == f"this is {page._choice.value}"


def test_a_busy_port_is_not_swapped_for_another(busy: int) -> None:
    pytest.importorskip("viser")
    with pytest.raises(PageError, match=rf"port {busy} of {HOST} is in use .*--port"):
        Page(["one"], drawing, HOST, busy)


def test_an_address_of_another_computer_is_refused(port: int) -> None:
    pytest.importorskip("viser")
    with pytest.raises(PageError, match=rf"port {port} of 192\.0\.2\.1 cannot be had: "):
        Page(["one"], drawing, "192.0.2.1", port)  # reserved for documentation (RFC 5737)
    with pytest.raises(ValueError, match="at least one"):
        Page([], drawing, HOST, 8080)


def test_missing_viser_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "find_spec", lambda name: None)
    with pytest.raises(PageError, match=r"pip install --no-deps -r requirements/view\.txt"):
        Page(["one"], drawing, HOST, 8080)
    result = CliRunner().invoke(app, ["scenes", "nowhere"])
    assert result.exit_code == 3 and INSTALL in " ".join(result.output.split())


def test_the_optional_requirements_are_pinned_and_change_none_of_ours() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return dict(line.split("==") for line in lines if line and not line.startswith("#"))

    assert "viser" in pins("view.txt")
    assert not set(pins("view.txt")) & (set(pins("core.lock")) | set(pins("ros-jazzy.lock")))


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, " ".join(result.output.split())


def test_a_folder_without_scenes_says_how_to_make_some(tmp_path: Path, port: int) -> None:
    pytest.importorskip("viser")
    for folder in (tmp_path, tmp_path / "nowhere"):
        code, said = run("scenes", str(folder), "--port", str(port))
        assert code == 3 and "no scenes in" in said and "./cell data" in said


def test_unknown_suites_and_cells_are_named(port: int) -> None:
    pytest.importorskip("viser")
    code, said = run("sim", "--suite", "tot", "--port", str(port))
    assert code == 3 and "no suite 'tot'" in said and "'tote'" in said
    code, said = run("sim", "--cell", "pandaa", "--port", str(port))
    assert code == 3 and "pandaa" in said


def test_help_teaches_with_examples() -> None:
    for words in (["--help"], ["scenes", "--help"], ["sim", "--help"]):
        code, said = run(*words)
        assert code == 0 and "./cell view" in said, words


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("scenes")
    SceneJob(PILE, 3).run(to)
    (to / "broken-train-000000.scene.npz").write_bytes(b"nothing")
    return to


def test_a_folder_is_drawn_with_its_truth(folder: Path) -> None:
    source = SceneFolder(folder, "geometric")
    broken, good = source.names
    with pytest.raises(DrawError, match="damaged"):
        source.draw(broken)
    drawn = source.draw(good)
    layers = {layer.name: layer for layer in drawn.layers}
    assert len(layers["truth"].marks) == 5 and not layers["truth"].shown
    assert layers["surface"].marks and layers["instances"].marks and len(layers["cameras"].marks) >= 2
    assert "found" in drawn.text and "Time" in drawn.text
    with pytest.raises(ValueError, match="geometric"):
        SceneFolder(folder, "magic").draw(good)


def test_a_simulated_tote_is_what_data_would_make_of_it(folder: Path) -> None:
    tote = SimTote(PILE, 3, PILE.load_cell(), "geometric")
    (name,) = tote.names
    assert name == SceneFolder(folder, "geometric").names[1]
    layers = {layer.name: layer for layer in tote.draw(name).layers}
    assert len(layers["truth"].marks) == 5 and layers["instances"].marks


def test_an_interrupt_ends_the_command_cleanly(folder: Path, port: int) -> None:
    pytest.importorskip("viser")
    command = [sys.executable, "-m", "pickcell_sim.view", "scenes", str(folder), "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "sim")]), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert f"2 scenes at http://{HOST}:{port}" in line
        assert urllib.request.urlopen(f"http://{HOST}:{port}", timeout=20).status == 200
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 130 and rest.strip() == "The view is closed."
    finally:
        process.kill()
