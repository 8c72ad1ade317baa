"""One running cell per checkout: started, found, stopped, with nothing left, whatever is killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pickcell.setup import cli, operate, session
from pickcell.setup.layout import Layout, find_root, layout_from
from pickcell.setup.progress import Progress, StepFailed, interruptible

ROOT = find_root()
NODE = "import time\nprint('up', flush=True)\ntry:\n    time.sleep(120)\nexcept KeyboardInterrupt:\n    pass\n"
WAIT = """
import sys, time
if "--timeout" in sys.argv and sys.argv[sys.argv.index("--timeout") + 1] == "0.5":
    print("waiting for: camera wrist", flush=True)
    time.sleep(0.5)
    sys.exit(3)
print("ready", flush=True)
"""


class Checkout:
    """A small project: two nodes, their launch file, and a stand-in for the client's ``wait``."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.progress = Progress(io.StringIO())
        python = root / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        (root / "src/pickcell_cli").mkdir(parents=True)
        (root / "src/pickcell_cli/__main__.py").write_text(WAIT)
        prefix = root / "ros/share/ament_index/resource_index/packages"
        prefix.mkdir(parents=True)
        (prefix / "demo").touch()
        (root / "ros/lib/demo").mkdir(parents=True)
        program = root / "ros/lib/demo/node"
        program.write_text(f"#!{sys.executable}\n{NODE}")
        program.chmod(0o755)
        (root / "launch").mkdir()
        nodes = "".join(f"- node: {{pkg: demo, exec: node, name: {n}, args: $(var seed)}}\n" for n in ("one", "two"))
        (root / session.LAUNCH_FILE).write_text(f'launch:\n- arg: {{name: seed, default: "0"}}\n{nodes}')
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "ros2_ws/src/pickcell_bringup"),
            "AMENT_PREFIX_PATH": str(root / "ros"),
            "ROS_DOMAIN_ID": "42",
        }

    def pids(self) -> list[int]:
        now = session.running(self.layout)
        return session.node_pids(now) if now else []


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    now = session.running(made.layout)
    if now is not None:
        os.kill(now.pid, signal.SIGKILL)


def _until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_up_and_down_leave_nothing(checkout: Checkout) -> None:
    layout = checkout.layout
    assert session.running(layout) is None
    now = operate.bring_up(layout, checkout.env, checkout.progress, ["seed:=7"], 20.0)
    _until(lambda: len(checkout.pids()) == 2)
    pids = checkout.pids()
    found = session.running(layout)
    assert found == now and found.arguments == ["seed:=7"] and found.domain == "42"
    assert (layout.logs / "latest").resolve() == Path(now.log)
    assert session.client_environment(layout, {"PATH": "/bin"})["ROS_DOMAIN_ID"] == "42"
    with pytest.raises(StepFailed, match="already up"):
        session.start(layout, checkout.env, [])
    assert session.stop(layout, checkout.progress)
    assert session.running(layout) is None and not session.cell_lock(layout).is_held()
    assert not any(_alive(pid) for pid in [*pids, now.pid])
    assert not session.stop(layout, checkout.progress)  # a second time there is nothing to do


def test_a_killed_runner_leaves_neither_lock_nor_nodes(checkout: Checkout) -> None:
    now = session.start(checkout.layout, checkout.env, [])
    _until(lambda: len(checkout.pids()) == 2)
    pids = checkout.pids()
    os.kill(now.pid, signal.SIGKILL)
    _until(lambda: session.running(checkout.layout) is None)
    _until(lambda: not any(_alive(pid) for pid in pids))
    again = session.start(checkout.layout, checkout.env, [])  # and the next start is not in its way
    assert again.pid != now.pid
    assert session.stop(checkout.layout, checkout.progress)


def test_an_interrupted_start_leaves_nothing(checkout: Checkout) -> None:
    (checkout.layout.root / "src/pickcell_cli/__main__.py").write_text("import time\ntime.sleep(60)\n")
    seen: list[int] = []

    def interrupt() -> None:
        _until(lambda: len(checkout.pids()) == 2)
        seen.extend(checkout.pids())
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        operate.bring_up(checkout.layout, checkout.env, checkout.progress, [], 60.0)
    assert len(seen) == 2 and not any(_alive(pid) for pid in seen)
    assert session.running(checkout.layout) is None


def test_a_cell_that_does_not_get_ready_says_what_is_missing(checkout: Checkout) -> None:
    with pytest.raises(StepFailed) as caught:
        operate.bring_up(checkout.layout, checkout.env, checkout.progress, [], 0.5)
    assert "waiting for: camera wrist" in caught.value.text()
    assert session.running(checkout.layout) is not None  # it stays for a look


def test_a_cell_that_ends_while_starting_shows_its_last_words(checkout: Checkout) -> None:
    (checkout.layout.root / "ros/lib/demo/node").write_text(
        f"#!{sys.executable}\nraise SystemExit('no such camera: error')\n"
    )
    (checkout.layout.root / "src/pickcell_cli/__main__.py").write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(StepFailed) as caught:
        operate.bring_up(checkout.layout, checkout.env, checkout.progress, [], 60.0)
    assert "ended while starting" in caught.value.text() and "no such camera" in caught.value.text()
    assert session.running(checkout.layout) is None


def test_a_wrong_launch_file_is_told_before_anything_starts(checkout: Checkout) -> None:
    with pytest.raises(StepFailed) as caught:
        session.start(checkout.layout, checkout.env, ["sed:=1"])
    assert "no argument 'sed'; it takes: seed" in caught.value.text()
    assert not session.cell_lock(checkout.layout).is_held()


def test_leftovers_are_only_nodes_of_this_checkouts_runs(checkout: Checkout) -> None:
    layout = checkout.layout
    program = [sys.executable, "-c", "import time; time.sleep(60)", "--ros-args"]
    ours = subprocess.Popen(program, env={**os.environ, session.RUN_MARKER: f"{layout.logs}/20200101-000000"})
    other = subprocess.Popen(program, env={**os.environ, session.RUN_MARKER: "/elsewhere/var/log/20200101-000000"})
    try:
        _until(lambda: [pid for pid, _ in session.leftovers(layout)] == [ours.pid])
        reaper = threading.Thread(target=ours.wait)
        reaper.start()
        assert [pid for pid, _ in operate.end_leftovers(layout)] == [ours.pid]
        reaper.join(5)
        assert ours.poll() is not None and other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_cells_and_totes_are_named_or_files(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for name in ("config/cells/panda.yaml", "config/totes/demo.yaml", "mine.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    words = session.launch_arguments
    assert words(layout, "panda", "demo", 3, ["x:=1"]) == ["cell:=panda", "tote:=demo", "seed:=3", "x:=1"]
    assert words(layout, str(tmp_path / "config/cells/panda.yaml"), None, None, []) == ["cell:=panda"]
    outside = words(layout, str(tmp_path / "mine.yaml"), str(tmp_path / "mine.yaml"), None, [])
    assert outside == [f"cell_file:={tmp_path}/mine.yaml", f"tote_file:={tmp_path}/mine.yaml"]
    with pytest.raises(StepFailed) as caught:
        words(layout, "pnada", None, None, [])
    assert "there are: panda" in caught.value.text()
    with pytest.raises(StepFailed, match="'x=1' is not a launch argument"):
        words(layout, None, None, None, ["x=1"])


def test_old_logs_make_room_and_latest_points_at_the_newest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for day in range(1, 26):
        (layout.logs / f"202001{day:02d}-000000").mkdir(parents=True)
    (layout.logs / "setup").mkdir()
    newest = session.new_log_folder(layout)
    runs = sorted(p.name for p in layout.logs.iterdir() if p.name[:2] == "20")
    assert len(runs) == session.KEPT_LOGS and runs[-1] == newest.name
    assert (layout.logs / "setup").is_dir() and (layout.logs / "latest").resolve() == newest


def test_the_newest_report_since_a_moment_is_found(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert operate.newest_report(layout, 0.0) is None
    for name, age_s in (("old", 100), ("new", 1)):
        path = layout.var / "reports" / name / "report.html"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (time.time() - age_s,) * 2)
    found = operate.newest_report(layout, time.time() - 50)
    assert found is not None and found.parent.name == "new"


def test_the_demo_counts_what_was_delivered(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    assert operate.delivered(path) is None
    path.write_text('{"items": [{"outcome": {"code": "ok"}}, {"outcome": {"code": "missed"}}]}')
    assert operate.delivered(path) == (1, 2)
    path.write_text('{"half')
    assert operate.delivered(path) is None


def test_run_time_files_can_be_kept_apart(tmp_path: Path) -> None:
    apart = layout_from({"PICKCELL_VAR": str(tmp_path)})
    assert apart.run == tmp_path / "run" and apart.logs == tmp_path / "log" and apart.root == ROOT
    assert layout_from({}).var == ROOT / "var"


def test_an_interrupt_reaches_the_attached_program_which_may_clean_up(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "try:\n    pathlib.Path(sys.argv[1]).touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    pathlib.Path(sys.argv[2]).touch()\n"
    )
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"

    def interrupt() -> None:
        _until(begun.exists)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        operate.run_attached([sys.executable, "-c", program, str(begun), str(cleaned)], os.environ, tmp_path)
    assert cleaned.exists()


@pytest.mark.parametrize(
    ("words", "factor"),
    [([], None), (["--live"], "1.0"), (["--pace", "0"], "0.0"), (["--pace=.5"], "0.5")],
)
def test_the_pace_of_a_cell_is_a_choice_of_its_own(checkout: Checkout, words: list[str], factor: str | None) -> None:
    options = cli._parser().parse_args(["up", *words])
    said = [word for word in operate._words(checkout.layout, options, ()) if word.startswith("realtime_factor")]
    assert said == ([f"realtime_factor:={factor}"] if factor else [])


@pytest.mark.parametrize("words", [["--pace", "-1"], ["--pace", "nan"], ["--pace", "fast"], ["--live", "--pace", "2"]])
def test_a_pace_that_cannot_be_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["up", *words])
    assert "pace" in capsys.readouterr().err
