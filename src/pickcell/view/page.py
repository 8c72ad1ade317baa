"""The page in the browser: draws layers with viser, with a checkbox for each and a list of scenes to choose from.

viser is optional (requirements/view.txt) and imported only when a page is opened.
"""

from __future__ import annotations

import errno
import io
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import quat_xyzw_from_pose
from pickcell.view.marks import Box, Drawing, Edges, Frustum, Label, Layer, Mark, Points

INSTALL = "./cell run python -m pip install --no-deps -r requirements/view.txt"
TITLE = "pickcell"
EYE_FROM_FOCUS_M = (0.36, -0.22, 0.60)
"""Where the eye is at first: beyond the tote, a little to the side, looking back towards the robot."""
FRUSTUM_M = 0.05
"""Size of a camera's picture: small enough not to hide the totes."""
LINE_PX = 1.5
FRUSTUM_COLOR = (200, 200, 200)
LABEL_SCALE = 0.65
"""Of the normal size: a full tote has thirty labels."""
PREVIOUS, NEXT = "previous", "next"


class PageError(RuntimeError):
    """The page cannot be opened; the message says why and what to do."""


class DrawError(ValueError):
    """A scene that cannot be drawn; the page shows the message and stays."""


class Page:
    """A page that shows one of several scenes. Use as a context manager, or call :meth:`close`."""

    def __init__(self, names: Sequence[str], draw: Callable[[str], Drawing], host: str, port: int) -> None:
        """Opens the page and shows the first scene. ``names``: of the scenes, at least one; ``draw``: makes the drawing of
        one of them, one call at a time, from any thread; may raise DrawError.

        Raises PageError when viser is not installed or the port cannot be had, ValueError without names."""
        if not names:
            raise ValueError("a page needs at least one scene")
        self._names, self._draw = tuple(names), draw
        self._turn = threading.Lock()
        self._parents: dict[str, Any] = {}
        self._checkboxes: dict[str, Any] = {}
        self._server = _open_server(host, port)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        """Where the page is."""
        try:
            self._lay_out()
            self.show(self._names[0])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Page:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the page. Safe to call again."""
        if self._server is not None:
            with redirect_stdout(io.StringIO()):  # it says good-bye
                self._server.stop()
            self._server = None

    def wait(self) -> None:
        """Stay until someone interrupts. Raises KeyboardInterrupt then."""
        threading.Event().wait()

    def show(self, name: str) -> None:
        """Draw a scene, or say why it cannot be drawn. Of calls that come while one is drawn only the newest counts."""
        with self._turn:
            if name != self._wanted:
                return
            self._text.content = f"Looking at {name} ..."
            try:
                drawing = self._draw(name)
            except DrawError as problem:
                self._clear()
                self._text.content, self._items.content = f"**{name} cannot be shown**: {problem}", ""
                return
            with self._server.atomic():
                self._clear()
                for layer in drawing.layers:
                    self._add(layer)
            self._text.content, self._items.content = drawing.text, drawing.items
            self._look_from(drawing.focus)

    @property
    def _wanted(self) -> str:
        return str(self._choice.value) if self._choice is not None else self._names[0]

    def _lay_out(self) -> None:
        gui = self._server.gui
        self._choice: Any = None
        if len(self._names) > 1:
            self._choice = gui.add_dropdown("Scene", self._names, hint=f"{len(self._names)} scenes")
            self._choice.on_update(lambda _: self.show(self._wanted))
            gui.add_button_group("", (PREVIOUS, NEXT)).on_click(lambda event: self._step(str(event.target.value)))
        self._text = gui.add_markdown("")
        self._toggles = gui.add_folder("Show")
        with gui.add_folder("Items", expand_by_default=False):
            self._items = gui.add_markdown("")

    def _step(self, where: str) -> None:
        at = self._names.index(self._wanted) + (1 if where == NEXT else -1)
        self._choice.value = self._names[at % len(self._names)]

    def _clear(self) -> None:
        for parent in self._parents.values():
            parent.remove()  # with all that is below it
        self._parents.clear()

    def _add(self, layer: Layer) -> None:
        scene, shown = self._server.scene, bool(self._checkbox(layer).value)
        self._parents[layer.name] = scene.add_frame(f"/{layer.name}", show_axes=False, visible=shown)
        for mark in layer.marks:
            _add_mark(scene, f"/{layer.name}/{mark.name}", mark)

    def _checkbox(self, layer: Layer) -> Any:
        """The layer's checkbox, as it was left in the scene before."""
        if layer.name not in self._checkboxes:
            with self._toggles:
                box = self._server.gui.add_checkbox(layer.title, layer.shown, hint=layer.hint or None)
            box.on_update(lambda _: self._toggle(layer.name))
            self._checkboxes[layer.name] = box
        return self._checkboxes[layer.name]

    def _toggle(self, name: str) -> None:
        with self._turn:
            if name in self._parents:
                self._parents[name].visible = bool(self._checkboxes[name].value)

    def _look_from(self, focus: NDArray[np.float64]) -> None:
        """Where new visitors look from; who is there already keeps his place."""
        camera = self._server.initial_camera
        camera.position, camera.look_at = tuple(focus + np.array(EYE_FROM_FOCUS_M)), tuple(focus)


def _add_mark(scene: Any, path: str, mark: Mark) -> None:
    if isinstance(mark, Points):
        if len(mark.points):
            scene.add_point_cloud(
                path, np.asarray(mark.points), np.asarray(mark.colors), point_size=mark.size_m, point_shape="circle",
                precision="float32", point_shading="flat",
            )  # fmt: skip
    elif isinstance(mark, Box):
        scene.add_box(
            path, mark.color, tuple(mark.size_m), opacity=None if mark.opacity >= 1.0 else mark.opacity,
            cast_shadow=False, receive_shadow=False, **_place(mark.X_base_box),
        )  # fmt: skip
    elif isinstance(mark, Edges):
        if len(mark.segments):
            scene.add_line_segments(path, np.asarray(mark.segments), mark.color, thickness=LINE_PX, thickness_units="screen")
    elif isinstance(mark, Frustum):
        scene.add_camera_frustum(
            path, mark.vfov_rad, mark.aspect, image=np.asarray(mark.picture), jpeg_quality=85, scale=FRUSTUM_M,
            color=FRUSTUM_COLOR, thickness=LINE_PX, thickness_units="screen", cast_shadow=False, receive_shadow=False,
            **_place(mark.X_base_camera),
        )  # fmt: skip
    elif isinstance(mark, Label):
        scene.add_label(
            path, mark.text, position=tuple(mark.position), anchor="bottom-center", font_screen_scale=LABEL_SCALE
        )


def _place(X: NDArray[np.float64]) -> dict[str, Any]:
    """A pose in viser's words: its quaternions are w, x, y, z."""
    x, y, z, w = map(float, quat_xyzw_from_pose(X))
    return {"wxyz": (w, x, y, z), "position": tuple(map(float, X[:3, 3]))}


def check_page(host: str, port: int) -> None:
    """Whether a page could be opened now: ask before work that takes long. Raises PageError when viser is not installed or
    the port cannot be had."""
    if find_spec("viser") is None:
        raise PageError(f"the view needs viser, which is not installed: {INSTALL}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except socket.gaierror as problem:
        raise PageError(f"'{host}' is no address: {problem.strerror}") from None
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise PageError(_busy(host, port)) from None
        raise PageError(f"port {port} of {host} cannot be had: {problem.strerror}") from None


def _open_server(host: str, port: int) -> Any:
    check_page(host, port)  # viser would silently take the next port that is free
    import viser

    with redirect_stdout(io.StringIO()):  # it announces itself
        server: Any = viser.ViserServer(host=host, port=port, label=TITLE, verbose=False)
    if server.get_port() != port:  # taken in between
        server.stop()
        raise PageError(_busy(host, port))
    # no share button: it would publish the page on the internet through someone else's server
    server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
    return server


def _busy(host: str, port: int) -> str:
    return f"port {port} of {host} is in use (another ./cell view?): end that, or choose another with --port"
