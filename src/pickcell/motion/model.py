"""The robot as the planner sees it: chain, frames, limits, spheres and the links that may not touch, from a URDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from pickcell.geometry import Pose, transform_points
from pickcell.motion.chain import PRISMATIC, REVOLUTE, Chain, body_poses, frame_pose, frame_poses, jacobian
from pickcell.motion.spheres import COMMON_FIT, Fit, cover_cloud, cover_link
from pickcell.motion.urdf import MOVING, Urdf, UrdfError, parse_urdf

Array = NDArray[np.float64]

JAW_JOINTS = ("jaw_left_joint", "jaw_right_joint")
CUP_JOINT = "cup_slide_joint"
ITEM_LINK = "held item"
NEVER_M = 0.03
"""Links that no configuration of the survey brings nearer to each other than this are never checked against each other."""
SURVEY = 1500
"""Random configurations from which a robot's own overlaps and swing are measured."""
CLUSTER = 7
"""Spheres that are looked at together, at most."""
SURVEY_SLACK = 1.05
"""Swing is measured on samples, which are no bound."""


class Spheres(NamedTuple):
    """All spheres, grouped by link, with the pairs of groups to check against each other."""

    centre: NDArray[np.float64]
    """(N, 3) in the body the sphere rides on."""
    radius: NDArray[np.float64]
    """(N,)"""
    body: NDArray[np.int64]
    """(L,) body of each group."""
    start: NDArray[np.int64]
    """(L + 1,) first sphere of each group."""
    ball: NDArray[np.float64]
    """(L, 4) one sphere around the group, in its body."""
    cluster: NDArray[np.int64]
    """(L + 1,) first cluster of each group: a handful of neighbouring spheres each."""
    cluster_start: NDArray[np.int64]
    """(C + 1,) first sphere of each cluster."""
    cluster_ball: NDArray[np.float64]
    """(C, 4) one sphere around the cluster, in its group's body."""
    pairs: NDArray[np.int64]
    """(P, 2) groups checked against each other."""
    swing: NDArray[np.float64]
    """(L, n) metres by which a radian of each arm joint moves any sphere of the group at most."""
    pair_swing: NDArray[np.float64]
    """(P, n) the same of the two groups of a pair against each other."""

    @property
    def reach(self) -> NDArray[np.float64]:
        """(n,) metres by which a radian of each joint moves any sphere at most."""
        return np.asarray(self.swing.max(axis=0))


def _clusters(spheres: Array) -> list[Array]:
    """Spheres (k, 4) split into clusters of at most CLUSTER: by halves, across where they spread most."""
    if len(spheres) <= CLUSTER:
        return [spheres]
    axis = int(np.argmax(np.ptp(spheres[:, :3], axis=0)))
    order, half = np.argsort(spheres[:, axis], kind="stable"), len(spheres) // 2
    return _clusters(spheres[order[:half]]) + _clusters(spheres[order[half:]])


@dataclass(frozen=True)
class _Packed:
    """Blocks of spheres, one per group, clustered and laid out one after another."""

    every: Array
    start: NDArray[np.int64]
    cluster: NDArray[np.int64]
    cluster_start: NDArray[np.int64]


def _packed(blocks: Sequence[Array]) -> _Packed:
    clustered = [_clusters(block) for block in blocks]
    sizes = [len(part) for parts in clustered for part in parts]
    return _Packed(
        np.vstack([part for parts in clustered for part in parts]) if sizes else np.zeros((0, 4)),
        np.cumsum([0, *(len(block) for block in blocks)]).astype(np.int64),
        np.cumsum([0, *(len(parts) for parts in clustered)]).astype(np.int64),
        np.cumsum([0, *sizes]).astype(np.int64),
    )


def _bounding_balls(centre: Array, radius: Array, start: NDArray[np.int64]) -> Array:
    balls = np.zeros((len(start) - 1, 4))
    for g in range(len(balls)):  # a dozen links, once per robot
        c, r = centre[start[g] : start[g + 1]], radius[start[g] : start[g + 1]]
        if len(c):
            middle = 0.5 * ((c - r[:, None]).min(axis=0) + (c + r[:, None]).max(axis=0))
            balls[g] = [*middle, (np.linalg.norm(c - middle, axis=1) + r).max()]
    return balls


@njit(cache=True, nogil=True)
def place_spheres(chain, spheres, q, bodies, out):  # type: ignore[no-untyped-def]
    """Sphere centres at configuration ``q`` into ``out`` (N, 3); ``bodies`` (B, 3, 4) keeps the body poses."""
    body_poses(chain, q, bodies)
    for g in range(spheres.body.shape[0]):
        X = bodies[spheres.body[g]]
        for s in range(spheres.start[g], spheres.start[g + 1]):
            c = spheres.centre[s]
            for i in range(3):
                out[s, i] = X[i, 0] * c[0] + X[i, 1] * c[1] + X[i, 2] * c[2] + X[i, 3]


@njit(cache=True, nogil=True)
def pair_gap(spheres, points, a, b):  # type: ignore[no-untyped-def]
    """Smallest distance between the surfaces of two groups of placed spheres; negative when they overlap."""
    gap = np.inf
    for s in range(spheres.start[a], spheres.start[a + 1]):
        for t in range(spheres.start[b], spheres.start[b + 1]):
            dx, dy, dz = points[s, 0] - points[t, 0], points[s, 1] - points[t, 1], points[s, 2] - points[t, 2]
            gap = min(gap, np.sqrt(dx * dx + dy * dy + dz * dz) - spheres.radius[s] - spheres.radius[t])
    return gap


@njit(cache=True, nogil=True)
def _survey(chain, spheres, qs):  # type: ignore[no-untyped-def]
    """Share of configurations in which each pair of ``spheres.pairs`` overlaps, and the smallest gap of each. Widens
    ``spheres.swing`` in place."""
    swing = spheres.swing
    hits, nearest = np.zeros(spheres.pairs.shape[0]), np.full(spheres.pairs.shape[0], np.inf)
    bodies, points = np.empty((chain.parent.shape[0], 3, 4)), np.empty((spheres.radius.shape[0], 3))
    for k in range(qs.shape[0]):
        place_spheres(chain, spheres, qs[k], bodies, points)
        for p in range(spheres.pairs.shape[0]):
            gap = pair_gap(spheres, points, spheres.pairs[p, 0], spheres.pairs[p, 1])
            nearest[p] = min(nearest[p], gap)
            if gap < 0.0:
                hits[p] += 1.0
        for g in range(spheres.body.shape[0]):
            b = spheres.body[g]
            while b > 0:  # every joint between the sphere and the base
                j = chain.joint[b]
                if j < swing.shape[1]:
                    B, a = bodies[b], chain.axis[b]
                    w0 = B[0, 0] * a[0] + B[0, 1] * a[1] + B[0, 2] * a[2]
                    w1 = B[1, 0] * a[0] + B[1, 1] * a[1] + B[1, 2] * a[2]
                    w2 = B[2, 0] * a[0] + B[2, 1] * a[1] + B[2, 2] * a[2]
                    for s in range(spheres.start[g], spheres.start[g + 1]):
                        d0, d1, d2 = points[s, 0] - B[0, 3], points[s, 1] - B[1, 3], points[s, 2] - B[2, 3]
                        along = d0 * w0 + d1 * w1 + d2 * w2
                        off = np.sqrt(max(d0 * d0 + d1 * d1 + d2 * d2 - along * along, 0.0))
                        reach = 1.0 if chain.kind[b] == PRISMATIC else off + spheres.radius[s]
                        swing[g, j] = max(swing[g, j], reach)
                b = chain.parent[b]
    return hits / qs.shape[0], nearest


class RobotModel:
    """Kinematics and collision shape of one robot. Read-only after construction; safe to share between threads.

    ``urdf`` is URDF text; ``arm_joints`` the arm's joints from base to tip. Hand joints (jaws, cup slide) are optional.
    Other moving joints stand at 0. Meshes are looked for below ``mesh_roots``.
    """

    def __init__(
        self,
        urdf: str,
        arm_joints: tuple[str, ...],
        jaw_joints: tuple[str, ...] = JAW_JOINTS,
        cup_joint: str = CUP_JOINT,
        mesh_roots: Sequence[Path] = (),
        fit: Fit = COMMON_FIT,
    ) -> None:
        parsed = parse_urdf(urdf, mesh_roots)
        for name in arm_joints:
            if name not in parsed.joints or parsed.joints[name].kind not in MOVING:
                moving = [j.name for j in parsed.joints.values() if j.kind in MOVING]
                raise UrdfError(f"arm joint '{name}' is not a moving joint of the robot; those are {moving}")
        if not arm_joints or len(set(arm_joints)) != len(arm_joints):
            raise UrdfError(f"arm joints must be distinct and at least one, got {list(arm_joints)}")
        self.joint_names = tuple(arm_joints)
        self.n = len(arm_joints)
        hand = [name for name in (*jaw_joints, cup_joint) if name in parsed.joints]
        self._jaws = np.array([self.n + hand.index(name) for name in jaw_joints if name in hand], dtype=np.int64)
        self.cup_index = self.n + hand.index(cup_joint) if cup_joint in hand else -1
        joints = [parsed.joints[name] for name in (*arm_joints, *hand)]
        self.size = len(joints)
        self._hand_lower = np.array([j.lower for j in joints[self.n :]])
        self._hand_upper = np.array([j.upper for j in joints[self.n :]])
        self.lower = np.array([j.lower for j in joints[: self.n]])
        self.upper = np.array([j.upper for j in joints[: self.n]])
        self.velocity = np.array([j.velocity for j in joints[: self.n]])
        if not np.all(self.upper > self.lower) or not np.all(self.velocity > 0):
            raise UrdfError("arm joints need upper > lower limits and velocity limits > 0")
        self.chain, self.frames = _build_chain(parsed, [j.name for j in joints])
        self.arm, self._carrier = self._arm_only()
        self.spheres_local, self.links = self._fitted(parsed, fit)
        self._finish_pairs()

    def _fitted(self, parsed: Urdf, fit: Fit) -> tuple[Spheres, tuple[str, ...]]:
        blocks: list[Array] = []
        names: list[str] = []
        for link, shapes in parsed.links.items():
            if shapes:
                _, X = self.frames[link]
                local = cover_link(shapes, fit)
                local[:, :3] = transform_points(X, local[:, :3])
                blocks.append(local)
                names.append(link)
        bodies = np.array([self.frames[n][0] for n in names], dtype=np.int64)
        packed = _packed(blocks)
        centre, radius = np.ascontiguousarray(packed.every[:, :3]), np.ascontiguousarray(packed.every[:, 3])
        pairs = [(a, b) for a in range(len(names)) for b in range(a) if self._joints_between(bodies[a], bodies[b]) >= 2]
        return (
            Spheres(
                centre,
                radius,
                bodies,
                packed.start,
                _bounding_balls(centre, radius, packed.start),
                packed.cluster,
                packed.cluster_start,
                _bounding_balls(centre, radius, packed.cluster_start),
                np.array(pairs, dtype=np.int64).reshape(-1, 2),
                np.zeros((len(names), self.n)),
                np.zeros((len(pairs), self.n)),
            ),
            tuple(names),
        )

    def _arm_only(self) -> tuple[Chain, NDArray[np.int64]]:
        """The chain without the hand's joints, and for every body the index in it of the one that carries it."""
        chain = self.chain
        kept = [b for b in range(len(chain.parent)) if chain.joint[b] < self.n]
        carrier = np.zeros(len(chain.parent), dtype=np.int64)
        for b in range(len(chain.parent)):
            carrier[b] = kept.index(b) if b in kept else carrier[chain.parent[b]]
        parent = np.array([-1 if b == 0 else carrier[chain.parent[b]] for b in kept], dtype=np.int64)
        return Chain(parent, chain.joint[kept], chain.kind[kept], chain.offset[kept], chain.axis[kept]), carrier

    def rigid_hand(self, spheres: Spheres, jaw_opening: float, cup_extended: bool) -> Spheres:
        """The spheres with the hand's joints standing still, riding on the bodies of :attr:`arm`."""
        poses = np.tile(np.eye(4), (len(self.chain.parent), 1, 1))
        rows = np.empty((len(poses), 3, 4))
        body_poses(self.chain, self.full(np.zeros(self.n), jaw_opening, cup_extended), rows)
        poses[:, :3] = rows
        carried_by = np.flatnonzero(self.chain.joint < self.n)[self._carrier]
        X_carrier_body = np.linalg.inv(poses[carried_by]) @ poses

        def moved(points: Array, first: NDArray[np.int64]) -> Array:
            """Points (N, 3 or 4), those of a group from its ``first`` on, from the group's body to its carrier."""
            of = np.repeat(spheres.body, np.diff(first))
            out = points.copy()
            X = X_carrier_body[of]
            out[:, :3] = np.einsum("nij,nj->ni", X[:, :3, :3], points[:, :3]) + X[:, :3, 3]
            return out

        each = np.arange(len(spheres.body) + 1)
        return spheres._replace(
            centre=moved(spheres.centre, spheres.start),
            body=self._carrier[spheres.body],
            ball=moved(spheres.ball, each),
            cluster_ball=moved(spheres.cluster_ball, spheres.cluster),
        )

    def _arm_joints_to(self, body: int) -> set[int]:
        out = set()
        while body > 0:
            if self.chain.joint[body] < self.n:
                out.add(int(self.chain.joint[body]))
            body = int(self.chain.parent[body])
        return out

    def _joints_between(self, a: int, b: int) -> int:
        return len(self._arm_joints_to(int(a)) ^ self._arm_joints_to(int(b)))

    def _finish_pairs(self) -> None:
        """Drop pairs of links that overlap by construction, and measure how far each joint swings the robot.

        Links one joint apart always touch and are left out above; two apart are dropped when they overlap in more than
        a third of all configurations, others when they do in nearly all: that is the model's bulge, not a collision. So are
        pairs that joint limits keep apart.
        """
        rng = np.random.default_rng(0)
        arm = rng.uniform(self.lower, self.upper, (SURVEY, self.n))
        half = SURVEY // 2
        qs = np.vstack([self.full(arm[:half], np.inf, True), self.full(arm[half:], 0.0, False)])
        share, nearest = _survey(self.chain, self.spheres_local, qs)
        s = self.spheres_local
        apart = np.array([self._joints_between(s.body[a], s.body[b]) for a, b in s.pairs])
        often = share >= np.where(apart == 2, 0.34, 0.9) if len(apart) else np.zeros(0, dtype=bool)
        keep = ~often & (nearest < NEVER_M)
        pairs, swing = np.ascontiguousarray(s.pairs[keep]), SURVEY_SLACK * s.swing
        self.spheres_local = s._replace(pairs=pairs, swing=swing, pair_swing=self._pair_swing(pairs, s.body, swing))

    def _pair_swing(self, pairs: NDArray[np.int64], bodies: NDArray[np.int64], swing: Array) -> Array:
        """(P, n): only the joints that one of a pair has and the other has not move them against each other."""
        out = np.zeros((len(pairs), self.n))
        for row, (a, b) in zip(out, pairs, strict=True):
            of_a, of_b = self._arm_joints_to(int(bodies[a])), self._arm_joints_to(int(bodies[b]))
            for j in of_a ^ of_b:
                row[j] = swing[a if j in of_a else b, j]
        return out

    def full(self, q: ArrayLike, jaw_opening: float = 0.0, cup_extended: bool = True) -> Array:
        """Arm positions (..., n) and the hand's joints (..., size): each jaw at half the opening, within limits."""
        q = np.asarray(q, dtype=float)
        if q.shape[-1:] != (self.n,):
            raise ValueError(f"expected {self.n} joint positions, got shape {q.shape}")
        out = np.zeros((*q.shape[:-1], self.size))
        out[..., : self.n] = q
        for k in self._jaws:
            out[..., k] = np.clip(0.5 * jaw_opening, self._hand_lower[k - self.n], self._hand_upper[k - self.n])
        if self.cup_index >= 0:
            i = self.cup_index - self.n
            out[..., self.cup_index] = self._hand_upper[i] if cup_extended else self._hand_lower[i]
        return out

    def frame(self, name: str) -> tuple[int, Array]:
        """Body and local pose (3, 4) of a link. Raises KeyError naming the links there are."""
        if name not in self.frames:
            raise KeyError(f"no frame '{name}'; the robot has {sorted(self.frames)}")
        body, X = self.frames[name]
        return body, np.ascontiguousarray(X[:3])

    def fk(self, q: ArrayLike, frame: str, jaw_opening: float = 0.0, cup_extended: bool = True) -> Pose:
        """``X_base_frame`` of any link of the URDF; ``q`` (n,) rad. The cup's frames stand where the slide is put."""
        body, local = self.frame(frame)
        full = self.full(q, jaw_opening, cup_extended)
        if full.ndim != 1 or not np.all(np.isfinite(full)):
            raise ValueError("fk needs one finite configuration (n,)")
        out = np.eye(4)
        pose = np.empty((3, 4))
        frame_pose(self.chain, body, local, full, np.empty((len(self.chain.parent), 3, 4)), pose)
        out[:3] = pose
        return out

    def fk_many(self, qs: ArrayLike, frame: str, jaw_opening: float = 0.0, cup_extended: bool = True) -> Array:
        """Poses (K, 4, 4) of one frame along configurations (K, n)."""
        body, local = self.frame(frame)
        full = np.ascontiguousarray(self.full(np.atleast_2d(np.asarray(qs, dtype=float)), jaw_opening, cup_extended))
        out = np.tile(np.eye(4), (len(full), 1, 1))
        out[:, :3] = frame_poses(self.chain, body, local, full)
        return out

    def jacobian(self, q: ArrayLike, frame: str, cup_extended: bool = True) -> Array:
        """(6, n) geometric Jacobian of a frame: linear (m/rad) over angular (rad/rad) velocity, in base_link axes."""
        body, local = self.frame(frame)
        full, bodies, pose = self.full(q, 0.0, cup_extended), np.empty((len(self.chain.parent), 3, 4)), np.empty((3, 4))
        frame_pose(self.chain, body, local, full, bodies, pose)
        out = np.empty((6, self.n))
        jacobian(self.chain, body, self.n, bodies, pose, out)
        return out

    def spheres(self, q: ArrayLike, jaw_opening: float = 0.0, cup_extended: bool = False) -> Array:
        """The robot's collision spheres (N, 4): centre in ``base_link`` and radius, metres."""
        s = self.spheres_local
        points = np.empty((len(s.radius), 3))
        full = self.full(q, jaw_opening, cup_extended)
        place_spheres(self.chain, s, full, np.empty((len(self.chain.parent), 3, 4)), points)
        return np.column_stack([points, s.radius])

    def sphere_links(self) -> NDArray[np.int64]:
        """(N,) index into ``links`` of each sphere."""
        return np.repeat(np.arange(len(self.links)), np.diff(self.spheres_local.start))

    def with_item(self, frame: str, points_frame: ArrayLike) -> Spheres:
        """The spheres with an item added as the last group, riding on ``frame``; its surface cloud (N, 3) in that frame.

        The item is checked against all links but those of the hand and the two joints before it, which it hangs on.
        """
        body, local = self.frame(frame)
        X = np.vstack([local, [0.0, 0.0, 0.0, 1.0]])
        item = cover_cloud(np.asarray(points_frame, dtype=float))
        s, own = self.spheres_local, _packed([item])
        item = own.every
        centre = np.vstack([s.centre, transform_points(X, item[:, :3])])
        radius = np.append(s.radius, item[:, 3])
        start = np.append(s.start, len(radius))
        cluster = np.append(s.cluster, s.cluster[-1] + own.cluster[-1])
        cluster_start = np.append(s.cluster_start, s.cluster_start[-1] + own.cluster_start[1:])
        bodies = np.append(s.body, body)
        far = [(len(s.body), g) for g in range(len(s.body)) if self._joints_between(body, s.body[g]) >= 3]
        pairs = np.vstack([s.pairs, np.array(far, dtype=np.int64).reshape(-1, 2)])
        # no sphere of the item is further from an axis than the hand's outermost and the item's, from the tool, together
        extra = float((np.linalg.norm(item[:, :3], axis=1) + item[:, 3]).max())
        swing = np.vstack([s.swing, s.reach + extra])
        return Spheres(
            centre,
            radius,
            bodies,
            start,
            _bounding_balls(centre, radius, start),
            cluster,
            cluster_start,
            _bounding_balls(centre, radius, cluster_start),
            pairs,
            swing,
            self._pair_swing(pairs, bodies, swing),
        )


def _build_chain(parsed: Urdf, moving: list[str]) -> tuple[Chain, dict[str, tuple[int, Pose]]]:
    """Bodies of the tree and, for every link, its body and pose in it. Joints not in ``moving`` are rigid at 0."""
    frames: dict[str, tuple[int, Pose]] = {parsed.root: (0, np.eye(4))}
    parent, joint, kind, offset, axis = [-1], [-1], [REVOLUTE], [np.eye(4)[:3]], [np.array([0.0, 0.0, 1.0])]
    for j in parsed.joints.values():
        body, X = frames[j.parent]
        X = X @ j.X_parent_child
        if j.name not in moving:
            frames[j.child] = (body, X)
            continue
        parent.append(body)
        joint.append(moving.index(j.name))
        kind.append(PRISMATIC if j.kind == "prismatic" else REVOLUTE)
        offset.append(X[:3])
        axis.append(j.axis)
        frames[j.child] = (len(parent) - 1, np.eye(4))
    chain = Chain(
        np.array(parent, dtype=np.int64),
        np.array(joint, dtype=np.int64),
        np.array(kind, dtype=np.int64),
        np.ascontiguousarray(offset, dtype=float),
        np.ascontiguousarray(axis, dtype=float),
    )
    base = "base_link"
    if base in frames and frames[base][0] == 0 and not np.allclose(frames[base][1], np.eye(4)):
        # the root is not base_link but rigid to it: make base_link the frame everything is expressed in
        chain.offset[0] = np.linalg.inv(frames[base][1])[:3]
    return chain, frames
