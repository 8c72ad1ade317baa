"""``./cell calibrate``: find where the cameras stand, with a printed board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pickcell.calibration.board import BOARDS, Board, BoardError, board_by_name
from pickcell.calibration.page import DPI, PAPERS_M, RULER_M, write_page
from pickcell.calibration.pictures import PicturesError, look, places_of, read_session
from pickcell.calibration.routine import calibrate
from pickcell.camera_poses import CameraPoses, CameraPosesError, camera_poses_path, read_camera_poses, write_camera_poses
from pickcell.cell import CellConfig, CellConfigError, with_camera_poses
from pickcell.description import DescriptionError, expand_urdf
from pickcell.motion.model import RobotModel
from pickcell_sim.bench.suite_command import FAILED, INTERRUPTED, wide_console
from pickcell_sim.bench.suites import cell_by_name
from pickcell_sim.calibration.album import save_album
from pickcell_sim.calibration.session import Session, Shot
from pickcell_sim.calibration.tables import found_table, summary_table, trials_table
from pickcell_sim.calibration.trial import CameraTrial, trial

CellOption = Annotated[str, typer.Option(help="A name of config/cells, or a file.")]
PaperOption = Annotated[str, typer.Option(help=f"Paper that the board is printed on: {', '.join(BOARDS)}.")]
app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Find where the cameras stand, with a printed board. docs/calibration.md shows it step by step.

    Examples:

      ./cell calibrate board --out board.pdf                 # print it at 100 %, glue it on a flat plate

      ./cell calibrate images var/calibration --cell panda --dry-run    # pictures and arm poses -> camera poses

      ./cell calibrate sim --seeds 20                        # the same routine in the simulator, against the truth
    """


@app.command()
def board(
    out: Annotated[Path, typer.Option(help="File to write: .png or .pdf.")] = Path("board.pdf"),
    paper: PaperOption = "a3",
) -> None:
    """Write the board as a page to print. A3 is the one to use; A4 is for trays into which A3 does not fit.

    Examples:

      ./cell calibrate board --out board.pdf

      ./cell calibrate board --paper a4 --out board.png
    """
    console = wide_console()
    with _failures(console):
        chosen = board_by_name(paper)
        write_page(chosen, out)
        width, height = PAPERS_M[chosen.paper]
        console.print(f"{out}: {chosen.text}; {chosen.corners} corners", highlight=False, soft_wrap=True)
        console.print(
            f"Paper {chosen.paper.upper()}, {1e3 * width:g} x {1e3 * height:g} mm, {DPI} dpi. Print it at 100 % ('actual "
            f"size'), measure: a square has {1e3 * chosen.square_m:g} mm, the ruler {1e3 * RULER_M:g} mm. Glue it on a "
            "flat plate, 5 mm thick, cut to the paper's edge.",
            highlight=False, soft_wrap=True,
        )  # fmt: skip


@app.command()
def images(
    folder: Annotated[Path, typer.Argument(help="Folder with session.yaml and the pictures it names.")],
    cell: CellOption = "panda",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    moved: Annotated[
        list[str], typer.Option(help="A camera that was mounted anew: a large change is expected. Once per camera.")
    ] = [],  # noqa: B006 (typer reads it, nobody changes it)
) -> None:
    """Calibrate from pictures; writes config/cells/calibration/NAME.yaml, which everything uses from its next start on.

    Exit code 3 when a camera is refused; the others are written all the same.

    Examples:

      ./cell calibrate sim --save var/calibration            # a folder to look at, as it should be

      ./cell calibrate images var/calibration --dry-run

      ./cell calibrate images /data/monday --cell /etc/pickcell/my_cell.yaml --moved cam_left
    """
    console = wide_console()
    with _failures(console):
        where = cell_by_name(cell)
        unknown = sorted(set(moved) - {camera.name for camera in where.cameras})
        if unknown:
            raise PicturesError(f"--moved {' '.join(unknown)}: the cell has {[camera.name for camera in where.cameras]}")
        session = read_session(folder)
        robot = RobotModel(expand_urdf(where, meshes=False), where.arm.joints)
        views = []
        for looked in look(folder, session, where, robot):
            console.print(f"{looked.picture.file} ({looked.picture.camera}): {looked.text}", highlight=False)
            if looked.view is not None:
                views.append(looked.view)
        found = calibrate(where, session.chosen_board, views, places_of(session, where), moved=frozenset(moved)).cameras
        console.print(found_table(found))
        for outcome in found.values():
            if not outcome.ok:
                console.print(f"[red]{outcome.text}[/red]", highlight=False)
        missing = [c.name for c in where.cameras if c.name not in found]
        if missing:
            console.print(f"No picture shows the board: {', '.join(missing)} stay as they are.", highlight=False)
        date = datetime.now().astimezone().isoformat(timespec="seconds")
        good = {name: each.value.kept(session.chosen_board, date) for name, each in found.items() if each.value is not None}
        if good:
            _keep(console, where, CameraPoses(cell=where.name, cameras=good), dry_run)
        if len(good) < len(found) or not good:
            raise typer.Exit(FAILED)


def _keep(console: Console, cell: CellConfig, poses: CameraPoses, dry_run: bool) -> None:
    path = camera_poses_path(Path(cell.path))
    if dry_run:
        console.print(f"Nothing was written (--dry-run); it would go to {path}", highlight=False, soft_wrap=True)
        return
    before = read_camera_poses(path) if path.is_file() else None
    together = poses.with_others_of(before)
    with_camera_poses(cell, together, path)  # what could not be loaded is not written
    write_camera_poses(path, together)
    kept = f", the one before is {path.name}.bak" if before else ""
    console.print(f"Written: {path}{kept}. Start the cell anew to use it.", highlight=False, soft_wrap=True)


@app.command()
def sim(
    cell: CellOption = "panda",
    seed: Annotated[int, typer.Option(min=0, help="Decides errors, noise, and how the board comes to lie.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="So many calibrations, with the seeds from --seed on.")] = 1,
    paper: PaperOption = "a3",
    unknown: Annotated[bool, typer.Option("--unknown", help="Do not tell the routine where the board lies.")] = False,
    places: Annotated[int, typer.Option(min=1, max=2, help="1: the board only lies; 2: it also leans on the rim.")] = 2,
    no_depth: Annotated[bool, typer.Option("--no-depth", help="Keep the depth pictures from the routine.")] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the pictures of the last one, as 'images' takes them.")] = None,
) -> None:
    """Calibrate the simulated cell, whose cameras are off by 7 mm and 1 degree, and compare with the truth.

    The routine gets noisy pictures and joint positions only. Takes about 8 seconds per seed; writes nothing but --save.

    Examples:

      ./cell calibrate sim

      ./cell calibrate sim --seeds 20                        # median and largest error per camera

      ./cell calibrate sim --cell iiwa --seed 7 --unknown --save var/calibration
    """
    console = wide_console()
    with _failures(console):
        where, chosen = cell_by_name(cell, calibrated=False), board_by_name(paper)
        trials: list[list[CameraTrial]] = []
        for number in range(seed, seed + seeds):
            shots, scored = _one(console, where, chosen, number, places, not unknown, not no_depth)
            trials.append(scored)
        console.print(trials_table(trials[-1]) if seeds == 1 else summary_table(trials))
        for each in (each for scored in trials for each in scored if not each.found.ok):
            console.print(f"[red]{each.found.text}[/red]", highlight=False)
        if save is not None:
            save_album(save, where, chosen, shots)
            console.print(f"{len(shots)} pictures in {save}", highlight=False)
        if not all(each.found.ok for scored in trials for each in scored):
            raise typer.Exit(FAILED)


def _one(
    console: Console, cell: CellConfig, chosen: Board, seed: int, places: int, known: bool, depth: bool
) -> tuple[list[Shot], list[CameraTrial]]:
    """One session: its pictures and what came of them."""
    with Session(cell, chosen, seed) as session:
        shots: list[Shot] = []
        names = list(session.meant)[:places]
        with console.status(f"seed {seed}: taking pictures ..."):
            for shot in session.shots(places=names):
                shots.append(shot)
        scored = trial(session, shots, board_known=known, with_depth=depth)
    worst = max(scored, key=lambda each: each.after.shift_m)
    console.print(
        f"seed {seed}: {len(shots)} pictures, {len(scored)} cameras, at most {1e3 * worst.after.shift_m:.2f} mm off "
        f"({worst.camera})",
        highlight=False,
    )
    return shots, scored


@contextmanager
def _failures(console: Console) -> Iterator[None]:
    """What a person did wrong as a line and an exit code, Ctrl-C as 130."""
    try:
        yield
    except (BoardError, PicturesError, CellConfigError, CameraPosesError, DescriptionError, ValueError) as problem:
        console.print(f"[red]{problem}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except OSError as problem:
        console.print(f"[red]{problem.filename}: {problem.strerror}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        console.print("Interrupted; nothing was written.")
        raise typer.Exit(INTERRUPTED) from None


if __name__ == "__main__":
    app()
