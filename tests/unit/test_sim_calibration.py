"""The routine in the simulated cell: cameras off by millimetres and a degree are found again from their pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pickcell.calibration.board import BOARDS
from pickcell.calibration.pictures import PicturesError, look, places_of, read_session
from pickcell.calibration.routine import calibrate
from pickcell.camera_poses import camera_poses_path
from pickcell.cell import load_cell
from pickcell_sim.calibration.__main__ import app
from pickcell_sim.calibration.album import save_album
from pickcell_sim.calibration.session import Session, Shot
from pickcell_sim.calibration.trial import trial

PANDA = Path(__file__).resolve().parents[2] / "config/cells/panda.yaml"
CELL = load_cell(PANDA, calibrated=False)


@pytest.fixture(scope="module")
def session_and_shots() -> tuple[Session, list[Shot]]:
    with Session(CELL, BOARDS["a3"], 3) as session:
        return session, list(session.shots(count=6))


def test_every_camera_is_found_to_a_millimetre(session_and_shots: tuple[Session, list[Shot]]) -> None:
    session, shots = session_and_shots
    scored = trial(session, shots)
    assert [each.camera for each in scored] == [camera.name for camera in CELL.cameras]
    for each in scored:
        assert each.found.ok, each.found.text
        assert each.before.shift_m > 0.002, "there was something to find"
        assert each.after.shift_m < 0.0015, each.camera
        assert each.after.turn_rad < np.deg2rad(0.2), each.camera


def test_pictures_do_not_carry_the_truth(session_and_shots: tuple[Session, list[Shot]]) -> None:
    session, shots = session_and_shots
    for shot in shots:
        camera = CELL.camera(shot.frame.camera.name)
        off = session.true_parent_camera(camera.name) - camera.X_parent_camera
        assert np.abs(off).max() > 1e-4
        if camera.parent == "world":
            said = CELL.X_world_base @ shot.frame.X_base_camera
            np.testing.assert_allclose(said, camera.X_parent_camera, atol=1e-9)


def test_a_folder_of_pictures_gives_the_same_and_is_written_for_the_cell(
    session_and_shots: tuple[Session, list[Shot]], tmp_path: Path
) -> None:
    session, shots = session_and_shots
    save_album(tmp_path / "album", CELL, session.board, shots)
    (tmp_path / "cells").mkdir()
    cell_file = tmp_path / "cells/panda.yaml"
    cell_file.write_text(PANDA.read_text())
    runner = CliRunner()
    dry = runner.invoke(app, ["images", str(tmp_path / "album"), "--cell", str(cell_file), "--dry-run"])
    assert dry.exit_code == 0 and "Nothing was written" in dry.output
    assert not camera_poses_path(cell_file).exists()
    wet = runner.invoke(app, ["images", str(tmp_path / "album"), "--cell", str(cell_file)])
    assert wet.exit_code == 0, wet.output
    cell = load_cell(cell_file)
    for camera in cell.cameras:
        off = camera.X_parent_camera - session.true_parent_camera(camera.name)
        assert np.abs(off[:3, 3]).max() < 0.003, camera.name


def test_pictures_of_nothing_and_wrong_lists_are_said_so(
    session_and_shots: tuple[Session, list[Shot]], tmp_path: Path
) -> None:
    session, shots = session_and_shots
    save_album(tmp_path, CELL, session.board, shots[:1])
    listed = read_session(tmp_path)
    text = (tmp_path / "session.yaml").read_text()
    assert list(places_of(listed, CELL)) == ["lying"]
    (tmp_path / "session.yaml").write_text(text.replace("cam_left", "cam_back"))
    with pytest.raises(PicturesError, match="cam_wrist"):
        list(look(tmp_path, read_session(tmp_path), CELL, session.robot))
    (tmp_path / "session.yaml").write_text(text.replace("camera: cam_left", "camera: cam_wrist"))
    with pytest.raises(PicturesError, match="joints"):
        list(look(tmp_path, read_session(tmp_path), CELL, session.robot))
    (tmp_path / "session.yaml").write_text(text.replace("pictures:", "images:"))
    with pytest.raises(PicturesError, match="images"):
        read_session(tmp_path)
    (tmp_path / "session.yaml").write_text(text)
    (tmp_path / "000_cam_left.png").write_bytes(b"no picture")
    with pytest.raises(PicturesError, match="000_cam_left"):
        list(look(tmp_path, listed, CELL, session.robot))
    assert not calibrate(CELL, session.board, [], {}).cameras
    assert CliRunner().invoke(app, ["images", str(tmp_path / "none")]).exit_code == 3


def test_the_board_command_says_scale_and_paper(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["board", "--paper", "a4", "--out", str(tmp_path / "board.png")])
    assert done.exit_code == 0 and "297 mm" in done.output and "100 %" in done.output
    assert CliRunner().invoke(app, ["board", "--paper", "a5"]).exit_code == 3
