"""The project's folders are found in a checkout, in an installed workspace, and where somebody says they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pickcell import resources
from pickcell.resources import shared_directory

VARIABLE = "PICKCELL_TEST_DIR"


def test_a_checkout_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert (shared_directory("config", VARIABLE) / "catalogue").is_dir()


def test_what_somebody_says_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert shared_directory("config", VARIABLE) == tmp_path


def test_an_installed_workspace_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "lib/python3/site-packages/pickcell/resources.py"))
    installed = tmp_path / "bringup/share/pickcell_bringup/models"
    installed.mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'bringup'}")
    assert shared_directory("models", VARIABLE) == installed
    assert shared_directory("config", VARIABLE) == tmp_path / "lib/python3/config", "missing: a message can name it"
