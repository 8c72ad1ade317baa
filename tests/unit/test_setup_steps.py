"""The pieces of the first start: locks, steps and their failures, system packages, Python, pins, summaries, help."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pickcell.setup import checks, cli, doctor, system_packages, virtual_env
from pickcell.setup.layout import Layout, find_root
from pickcell.setup.locks import FileLock
from pickcell.setup.progress import Progress, StepFailed, clock, run_logged
from pickcell.setup.ros_source import RosSource

ROOT = find_root()
WHEELS = RosSource("wheels", "test")

# -- locks -------------------------------------------------------------------------------------------------------


def test_a_lock_excludes_others_and_names_its_holder(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "run/a.lock"), FileLock(tmp_path / "run/a.lock")
    assert not first.is_held()
    assert first.acquire()
    assert second.holder() == os.getpid() and second.is_held() and not second.acquire()
    first.release()
    assert not second.is_held() and second.acquire()
    second.release()
    with pytest.raises(ValueError, match="not held"):
        _ = second.fd


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from pickcell.setup.locks import FileLock;"
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    env = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "l")], env=env, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    lock = FileLock(tmp_path / "l")
    assert lock.is_held() and lock.holder() == holder.pid
    holder.kill()
    holder.communicate()
    assert not lock.is_held()


def test_waiting_for_a_lock_ends_when_it_is_free(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "l"), FileLock(tmp_path / "l")
    first.acquire()
    timer = threading.Timer(0.2, first.release)
    timer.start()
    begun_s = time.monotonic()
    assert second.acquire(wait=True)
    assert time.monotonic() - begun_s >= 0.15
    second.release()


# -- steps -------------------------------------------------------------------------------------------------------


def test_without_a_terminal_every_step_is_two_lines() -> None:
    screen = io.StringIO()
    progress = Progress(screen)
    progress.plan(2)
    with progress.step("First"):
        pass
    with pytest.raises(ValueError, match="x"), progress.step("Second"):
        raise ValueError("x")
    lines = screen.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["[1/2] First ...", "[1/2] First", "[2/2] Second ...", "[2/2] Second"]
    assert "done" in lines[1] and "failed" in lines[3]
    assert "\r" not in screen.getvalue() and "\033" not in screen.getvalue()


def test_a_failed_command_tells_what_why_where_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "logs/x.log"
    program = "print('one'); print('the reason'); raise SystemExit(7)"
    with pytest.raises(StepFailed) as caught:
        run_logged([sys.executable, "-c", program], log, Progress(io.StringIO()), what="doing it", todo="try this")
    text = caught.value.text()
    assert text.startswith("failed: doing it")
    for part in ("code 7", "| the reason", str(log), "do:   try this"):
        assert part in text
    assert "the reason" in log.read_text()


def test_a_command_that_does_not_exist_fails_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="doing it"):
        run_logged(["/no/such/program"], tmp_path / "x.log", Progress(io.StringIO()), what="doing it")


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (12.3, "12 s"), (185.0, "3 min 05 s")])
def test_times_are_said_for_people(seconds: float, text: str) -> None:
    assert clock(seconds) == text


# -- packages of the system --------------------------------------------------------------------------------------

LACKING = [system_packages.Need("libusb-1.0-0", "open3d loads it", lambda: False)]


def test_what_is_missing_is_found_by_using_it(tmp_path: Path) -> None:
    assert system_packages.loads("libc.so.6") and not system_packages.loads("libnosuchthing.so.9")
    wanted = {need.package: need for need in system_packages.needs(tmp_path, "3.11")}
    assert not wanted["python3.11-dev"].present()
    (tmp_path / "Python.h").touch()
    assert wanted["python3.11-dev"].present()


def test_without_the_right_to_install_the_one_line_to_run_is_said(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path)}  # no apt-get here
    with pytest.raises(StepFailed) as caught:
        system_packages.install(LACKING, tmp_path / "apt.log", Progress(io.StringIO()), env)
    assert "sudo apt-get update && sudo apt-get install -y --no-install-recommends libusb-1.0-0" in caught.value.text()
    assert "open3d loads it" in caught.value.text()


def _tool(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_root_installs_directly_and_others_by_sudo_without_password(tmp_path: Path) -> None:
    _tool(tmp_path, "apt-get", "exit 0")
    env = {"PATH": str(tmp_path)}
    assert system_packages.install_prefix(env, is_root=True) == []
    assert system_packages.install_prefix(env, is_root=False) is None
    _tool(tmp_path, "sudo", "exit 1")
    assert system_packages.install_prefix(env, is_root=False) is None
    _tool(tmp_path, "sudo", "exit 0")
    prefix = system_packages.install_prefix(env, is_root=False)
    assert prefix is not None and prefix[:2] == [str(tmp_path / "sudo"), "-n"]


def test_an_install_updates_the_lists_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/calls')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    system_packages.install(LACKING, tmp_path / "apt.log", Progress(io.StringIO()), dict(os.environ))
    assert (tmp_path / "calls").read_text().splitlines() == ["update", "install -y --no-install-recommends libusb-1.0-0"]


# -- python and pins ---------------------------------------------------------------------------------------------


def test_python_is_probed_by_running_it(tmp_path: Path) -> None:
    own = virtual_env.probe(sys.executable)
    assert own is not None and own.version == sys.version_info[:3]
    _tool(tmp_path, "python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    assert virtual_env.probe(tmp_path / "python3.11") is None
    assert virtual_env.probe(tmp_path / "nothing") is None


def test_a_wrong_python_is_refused_with_a_remedy(tmp_path: Path) -> None:
    _tool(tmp_path, "py", "exit 1")
    with pytest.raises(StepFailed) as caught:
        virtual_env.choose_interpreter(WHEELS, {"PICKCELL_PYTHON": str(tmp_path / "py"), "PATH": ""})
    assert "is not a Python 3.11" in caught.value.text() and "PICKCELL_PYTHON" in caught.value.text()


def test_wheels_are_installed_under_both_locks_and_setuptools_comes_last() -> None:
    install, last = virtual_env.pip_commands(Layout(ROOT), WHEELS)
    constraints = [Path(install[i + 1]).name for i, word in enumerate(install) if word == "-c"]
    assert constraints == ["ros-jazzy.lock", "core.lock"]
    assert last[-1] == "setuptools<80"


def test_beside_a_sourced_ros_no_ros_wheel_is_installed_and_its_numpy_stays() -> None:
    install, last = virtual_env.pip_commands(Layout(ROOT), RosSource("system", "test", "python3"), "1.26.4")
    assert not [word for word in install if "ros-jazzy" in word]
    assert "numpy==1.26.4" in install and any(word.startswith("colcon-common-extensions") for word in install)
    assert last[-1] == "setuptools<80"


def test_every_requirement_is_pinned_and_lark_never_is() -> None:
    folder = ROOT / "requirements"
    pins = {}
    for name in ("ros-jazzy.lock", "core.lock"):
        for line in virtual_env.requirement_lines(folder / name):
            package, _, version = line.partition("==")
            assert version and package not in pins, line
            pins[package] = version
    for line in virtual_env.requirement_lines(folder / "core.txt"):
        assert virtual_env.canonical(line.partition("==")[0].partition(">")[0]) in pins, f"{line} has no pin: ./cell lock"
    assert "lark" not in pins and "setuptools" not in pins


def test_installed_packages_off_their_pins_are_named(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    site = tmp_path / ".venv/lib/python3.11/site-packages"
    for name in ("numpy-2.4.6", "my_pkg-1.0", "lark-1.2", "setuptools-81.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/ros-jazzy.lock").write_text("numpy==2.4.6\n")
    (tmp_path / "requirements/core.lock").write_text("# pins\nMy.Pkg==1.1\nabsent==3\n")
    said = " | ".join(virtual_env.off_pins(layout))
    assert "My.Pkg is 1.0, pinned 1.1" in said and "absent is missing, pinned 3" in said
    assert "lark is installed beside" in said and "setuptools is 81.0" in said and "numpy" not in said
    path = virtual_env.write_core_lock(layout)
    assert path.read_text() == "# pins\nmy-pkg==1.0\n"


def test_an_environment_with_half_installed_packages_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    site = tmp_path / ".venv/lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for name in ("whole-1.0", "cut-2.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
        (site / f"{name}.dist-info" / "METADATA").write_text("Name: x" if name == "whole-1.0" else "")
    (tmp_path / ".venv/bin").mkdir()
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    here = virtual_env.probe(sys.executable)
    progress = Progress(io.StringIO())
    assert here is not None and virtual_env.damaged(layout) == ["cut-2.0.dist-info"]
    assert virtual_env.create(layout, here, WHEELS, tmp_path / "log", progress)
    assert virtual_env.damaged(layout) == [] and not (site / "whole-1.0.dist-info").exists()
    assert not virtual_env.create(layout, here, WHEELS, tmp_path / "log", progress)


def test_the_environments_stamp_follows_requirements_place_and_ros(tmp_path: Path) -> None:
    (tmp_path / "a/requirements").mkdir(parents=True)
    (tmp_path / "b/requirements").mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / name / "requirements/core.txt").write_text("numpy\n")
    first = virtual_env.requirement_key(Layout(tmp_path / "a"), WHEELS)
    assert first == virtual_env.requirement_key(Layout(tmp_path / "a"), WHEELS)
    assert first != virtual_env.requirement_key(Layout(tmp_path / "b"), WHEELS)  # scripts hold absolute paths
    assert first != virtual_env.requirement_key(Layout(tmp_path / "a"), RosSource("system", "", "python3"))
    (tmp_path / "a/requirements/core.txt").write_text("numpy\nscipy\n")
    assert first != virtual_env.requirement_key(Layout(tmp_path / "a"), WHEELS)


# -- test summary, doctor, command line --------------------------------------------------------------------------


def test_the_summary_adds_up_reports_in_pytests_manner(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(
        '<testsuites><testsuite tests="10" failures="1" errors="1" skipped="2"/><testsuite tests="3"/></testsuites>'
    )
    result = checks.Result("unit", seconds=61.5)
    checks.count_junit(tmp_path / "r.xml", result)
    assert (result.passed, result.failed, result.skipped) == (9, 2, 2)
    line = checks.closing_line([result, checks.Result("lint", passed=2, seconds=1.0)])
    assert "= 2 failed, 11 passed, 2 skipped in 62.50s (1:02) =" in line
    assert "= 1 passed in 2.00s (0:02) =" in checks.closing_line([checks.Result("lint", passed=1, seconds=2.0)])


def test_an_unknown_layer_lists_the_known() -> None:
    with pytest.raises(StepFailed) as caught:
        checks.run(Layout(ROOT), {}, ["unti"], [], False)
    assert "unit, contract, nodes, system" in caught.value.text()


def test_other_ros_programs_are_counted_by_their_discovery_ports() -> None:
    table = "  sl  local_address\n" + "".join(
        f"  1: 00000000:{port:04X} 00000000:0000 07\n" for port in (7400, 7410, 7411, 7412, 7660)
    )
    assert doctor.dds_participants(0, table) == 2  # 7410 and 7412; odd ports carry user data
    assert doctor.dds_participants(1, table) == 1
    assert doctor.dds_participants(2, table) == 0


def test_doctor_fails_exactly_when_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [doctor.Finding("ok", "a", "fine", "never shown"), doctor.Finding("note", "b", "odd", "look")]
    monkeypatch.setattr(doctor, "examine", lambda *_: iter(findings))
    assert doctor.main(Layout(ROOT), {}) == 0
    findings.append(doctor.Finding("missing", "c", "gone", "apt-get install c"))
    assert doctor.main(Layout(ROOT), {}) == 1
    text = capsys.readouterr().out
    assert "-> apt-get install c" in text and "never shown" not in text and "1 missing: c" in text


def _cell(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "cell"), *words], capture_output=True, text=True, timeout=60)


def test_help_teaches_every_command() -> None:
    text = _cell("--help").stdout
    for name in ("demo", "test", "up", "down", "pick", "order", "status", "bench", "doctor", "shell", "setup", "run"):
        assert f"\n    {name} " in text
    assert "examples:" in text and "./cell demo" in text and "README.md" in text
    assert _cell().stdout == text
    assert "--seed" in _cell("up", "--help").stdout
    assert set(cli.MODULES) <= set(text.split())


@pytest.mark.parametrize("words", [("dmeo",), ("up", "--sed", "3"), ("down", "now")])
def test_a_wrong_call_ends_with_code_2_and_says_what_was_wrong(words: tuple[str, ...]) -> None:
    result = _cell(*words)
    assert result.returncode == 2
    assert any(word in result.stderr for word in words[-2:])


def test_the_script_works_through_a_link_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "cell").symlink_to(ROOT / "cell")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # not yet that of the cell, else there is nothing to add
    result = subprocess.run(["./cell", "env"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert f"export PICKCELL_ROOT={ROOT}" in result.stdout
