"""Damage is a property of the physics: it follows from falls, forces, angles and vacuum, at any length of step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pybullet as p
import pytest
from sim_rig import ToolMotion, add_block, cell_named, driven

from pickcell.geometry import make_pose, transform_points
from pickcell_sim.damage import DamageEvent, DamageLimits, DamageMonitor, load_damage_limits
from pickcell_sim.damage.mechanics import impact_speed_mps
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.spawn import outline, place_item, spawn_item
from pickcell_sim.items.stand_ins import StandIns
from pickcell_sim.ports import SimPorts
from pickcell_sim.world import ItemBody, SimWorld

LIMITS = load_damage_limits()
CELL = cell_named("panda")
BESIDE = (0.56, -0.6)
"""A free place on the table."""


@contextmanager
def still_world(hz: float = 240.0, seed: int = 0) -> Iterator[SimWorld]:
    """A world whose robot stands."""
    with SimWorld(CELL, seed, step_s=1.0 / hz) as world:
        joints = list(world.robot.joints.values())
        stand = [s[0] for s in p.getJointStates(world.robot.body, joints, physicsClientId=world.client)]

        def hold() -> None:
            for joint, position in zip(joints, stand):
                p.resetJointState(world.robot.body, joint, position, 0.0, physicsClientId=world.client)

        world.before_step.append(hold)
        yield world


def seconds(world: SimWorld, duration_s: float) -> None:
    world.step(round(duration_s / world.clock.nominal_s))


def lift(
    world: SimWorld, item: ItemBody, height: float, rpy: tuple[float, float, float], place: tuple[float, float] = BESIDE
) -> None:
    """Put an item with its lowest point at a height over the table."""
    low = transform_points(make_pose((0.0, 0.0, 0.0), rpy), outline(item.name))[:, 2].min()
    place_item(world, item, make_pose((*place, height - low), rpy))


def dropped(
    sku: str, height: float, hz: float, rpy: tuple[float, float, float] = (0.0, 0.0, 0.0), limits: DamageLimits = LIMITS
) -> tuple[DamageEvent, ...]:
    with still_world(hz) as world:
        monitor = DamageMonitor(world, limits)
        lift(world, spawn_item(world, sku, make_pose((0.0, 0.0, 3.0))), height, rpy)
        seconds(world, 1.0)
        return monitor.events


def test_what_comes_near_to_a_limit_is_a_strain_and_no_damage() -> None:
    critical = LIMITS.class_limits(LIMITS.for_sku("box-008").kind).fall_height_m.value
    for share, hurt in ((0.6, 0), (1.2, 1), (0.15, None)):
        with still_world() as world:
            monitor = DamageMonitor(world, LIMITS, watched_share=0.5)
            lift(world, spawn_item(world, "box-008", make_pose((0.0, 0.0, 3.0))), share * critical, (0.0, 0.0, 0.0))
            seconds(world, 1.0)
            if hurt is None:
                assert monitor.strains == () and monitor.events == ()
                continue
            (strain,) = monitor.strains
            assert len(monitor.events) == hurt and strain.severity == pytest.approx(np.sqrt(share), rel=0.02)
            assert strain.limit == pytest.approx(impact_speed_mps(critical))


# -- impact ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hz", [120.0, 240.0, 480.0, 960.0])
@pytest.mark.parametrize("sku", ["box-008", "jar-000"])
def test_a_fall_from_less_than_the_limit_does_no_damage_and_from_more_does(sku: str, hz: float) -> None:
    critical = LIMITS.class_limits(LIMITS.for_sku(sku).kind).fall_height_m.value
    assert dropped(sku, 0.9 * critical, hz) == ()
    (event,) = dropped(sku, 1.1 * critical, hz)
    assert (event.kind, event.sku, event.by, event.unit) == ("impact", sku, "table", "m/s")
    assert event.limit == pytest.approx(impact_speed_mps(critical))


@pytest.mark.parametrize("rpy", [(0.0, 0.0, 0.0), (0.5, 0.6, 0.2)], ids=["flat", "on a corner"])
@pytest.mark.parametrize("height", [0.1, 0.4])
def test_the_speed_of_an_impact_does_not_depend_on_the_step(height: float, rpy: tuple[float, float, float]) -> None:
    sensitive = LIMITS.scaled(impact=1e-3)
    speeds = [dropped("box-008", height, hz, rpy, sensitive)[0].value for hz in (120.0, 240.0, 480.0, 960.0)]
    np.testing.assert_allclose(speeds, impact_speed_mps(height), rtol=0.01)
    np.testing.assert_allclose(speeds, speeds[-1], rtol=0.005)


def test_a_box_that_topples_hits_the_floor_with_the_speed_of_its_far_edge() -> None:
    """Turning about its lower edge: w^2 = 3 g (sqrt(a^2 + h^2) - a) / (a^2 + h^2), and the far edge comes down with w h."""
    a, h = 0.056, 0.150
    expected = h * np.sqrt(3.0 * 9.81 * (np.hypot(a, h) - a) / (a**2 + h**2))
    speeds = []
    for hz in (120.0, 240.0, 480.0, 960.0):
        with still_world(hz) as world:
            box = spawn_item(world, "box-014", make_pose((0.0, 0.0, 3.0)))  # 56 x 56 x 150 mm
            lift(world, box, 0.0, (0.0, np.arctan(a / h) + 0.02, 0.0))
            monitor = DamageMonitor(world, LIMITS.scaled(impact=0.05))
            seconds(world, 1.5)
            speeds.append(monitor.events[0].value)
    np.testing.assert_allclose(speeds, expected, rtol=0.07)  # its foot slides a little
    np.testing.assert_allclose(speeds, speeds[-1], rtol=0.05)  # at 120 Hz the foot slides more


def test_substeps_do_not_change_an_impact() -> None:
    with still_world() as world:
        world.set_substeps(4)
        monitor = DamageMonitor(world, LIMITS.scaled(impact=1e-3))
        lift(world, spawn_item(world, "box-008", make_pose((0.0, 0.0, 3.0))), 0.3, (0.0, 0.0, 0.0))
        seconds(world, 0.5)
        assert monitor.events[0].value == pytest.approx(impact_speed_mps(0.3), rel=0.02)


def test_an_item_that_is_fallen_upon_is_damaged_by_what_falls() -> None:
    with still_world() as world:
        low = spawn_item(world, "box-019", make_pose((*BESIDE, 0.012)))
        seconds(world, 1.0)
        monitor = DamageMonitor(world, LIMITS)
        high = spawn_item(world, "jar-000", make_pose((0.0, 0.0, 3.0)))
        lift(world, high, 0.024 + 0.3, (0.0, 0.0, 0.0))
        seconds(world, 1.0)
        (event,) = monitor.events  # 0.3 m is too much for glass, and not for a carton
        assert (event.item_id, event.by) == (high.item_id, "box-019")
        lift(world, high, 0.024 + 0.5, (0.0, 0.0, 0.0))
        seconds(world, 1.0)
        causes = {e.item_id: e.by.split(", ") for e in monitor.events[1:]}  # what bounces off may meet the table as well
        assert causes.keys() == {high.item_id, low.item_id}
        assert "box-019" in causes[high.item_id] and "jar-000" in causes[low.item_id]


def test_by_the_velocity_change_a_light_striker_does_a_heavy_victim_no_harm() -> None:
    sensitive = LIMITS.scaled(impact=0.05)
    victims = {}
    for name, each in (("approach", sensitive), ("change", sensitive.with_impact_share("velocity_change"))):
        with still_world() as world:
            low = spawn_item(world, "jar-000", make_pose((*BESIDE, 0.044)))
            seconds(world, 1.0)
            monitor = DamageMonitor(world, each)
            lift(world, spawn_item(world, "card-002", make_pose((0.0, 0.0, 3.0))), 0.088 + 0.1, (0.0, 0.0, 0.0))
            seconds(world, 0.6)
            victims[name] = low.item_id in {e.item_id for e in monitor.events}
    assert victims == {"approach": True, "change": False}


def struck(factor: float, hz: float) -> tuple[tuple[DamageEvent, ...], float]:
    """Damage when a finger moves into a box on a shelf that bears ``factor`` times the finger's speed; and that speed."""
    with driven() as driver:
        world = driver.world
        world.set_substeps(round(hz / 240.0))
        trajectory = ToolMotion(CELL).line(driver.joint_states().select(CELL.arm.joints), (0.0, 0.3, 0.0), 4.0)
        speed = 1.875 * 0.3 / float(trajectory.times_s[-1])  # peak of the polynomial, half way
        x, _, z = world.X_world_link("tcp_pinch")[:3, 3]
        finger = p.getAABB(world.robot.body, world.robot.link("finger_left_link"), physicsClientId=world.client)[1][1]
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.03, 0.3, 0.02], physicsClientId=world.client)
        shelf = p.createMultiBody(0, shape, -1, [x, finger + 0.4, z - 0.036 - 0.02], physicsClientId=world.client)
        p.changeDynamics(shelf, -1, lateralFriction=1.0, physicsClientId=world.client)
        box = spawn_item(world, "box-008", make_pose((x, finger + 0.15 + 0.036, z)))  # a cube of 72 mm
        driver.advance(0.5)
        assert box.asleep
        limits = LIMITS.scaled(impact=(factor * speed / LIMITS.for_sku("box-008").impact_mps) ** 2)
        monitor = DamageMonitor(world, limits, driver=driver)
        driver.follow(trajectory)
        driver.advance(float(trajectory.times_s[-1]))
        return monitor.events, speed


@pytest.mark.parametrize("hz", [240.0, 480.0])
def test_a_neighbour_struck_by_the_arm_is_damaged_only_above_its_limit(hz: float) -> None:
    (event,), speed = struck(0.85, hz)
    assert (event.kind, event.sku, event.by) == ("impact", "box-008", "finger_left_link")
    assert event.value == pytest.approx(speed, rel=0.05)
    assert struck(1.15, hz)[0] == ()


def test_a_hand_that_reaches_in_damages_what_it_strikes_and_is_no_item_itself() -> None:
    """Bodies that nobody registered are told from furniture by their mass."""
    with still_world() as world:
        jar = spawn_item(world, "jar-000", make_pose((*BESIDE, 0.045)))
        seconds(world, 0.6)
        assert jar.asleep
        monitor = DamageMonitor(world, LIMITS)
        shape = p.createCollisionShape(p.GEOM_SPHERE, radius=0.04, physicsClientId=world.client)
        hand = p.createMultiBody(1.5, shape, -1, [BESIDE[0] - 0.2, BESIDE[1], 0.06], physicsClientId=world.client)
        p.resetBaseVelocity(hand, [2.5, 0.0, 0.3], physicsClientId=world.client)
        seconds(world, 0.2)
        (event,) = monitor.events
        assert (event.item_id, event.by) == (jar.item_id, "foreign body")
        assert event.value == pytest.approx(2.5, rel=0.03)


def test_a_gently_placed_item_is_not_damaged() -> None:
    with still_world() as world:
        monitor = DamageMonitor(world, LIMITS.scaled(impact=0.2))
        for k, sku in enumerate(("jar-000", "hardcover-000", "box-008")):
            lift(world, spawn_item(world, sku, make_pose((0.0, 0.0, 3.0))), 0.01, (0.0, 0.0, 0.0), (0.3, -0.4 - 0.2 * k))
        seconds(world, 1.0)
        assert monitor.events == ()


def test_content_that_rattles_in_its_bag_is_no_damage() -> None:
    with still_world() as world:
        monitor = DamageMonitor(world, LIMITS)
        bag = spawn_item(world, "loose_bag-000", make_pose((*BESIDE, 0.3)))
        seconds(world, 1.0)
        assert bag.contents and monitor.events == ()


def test_a_cover_that_slaps_shut_is_no_impact_on_its_own_book_but_one_on_a_jar_in_its_way() -> None:
    """Links of one item are one thing; another item meets the speed of the cover, not that of the book."""
    with still_world() as world:
        book = spawn_item(world, "hardcover-000", make_pose((*BESIDE, 0.016)))  # 140 mm wide, spine at -x
        swing(world, book, 2.0)
        monitor = DamageMonitor(world, LIMITS.scaled(impact=0.2))
        slap(world, book, 1.2)
        assert [e for e in monitor.events if e.kind == "impact"] == []
        swing(world, book, 2.0, 0.05)
        jar = spawn_item(world, "jar-000", make_pose((BESIDE[0] + 0.06, BESIDE[1], 0.031 + 0.045)))
        slap(world, book, 1.7)  # 25 rad/s, braked to about 11 where it meets the jar's top edge 131 mm from the spine
        struck = [e for e in monitor.events if e.kind == "impact"]
        assert {(e.item_id, e.by) for e in struck} == {(jar.item_id, "hardcover-000"), (book.item_id, "jar-000")}
        assert all(e.value == pytest.approx(0.131 * 11.0, rel=0.15) for e in struck)


# -- opening ---------------------------------------------------------------------------------------------------------
def front_cover(world: SimWorld, book: ItemBody) -> int:
    """Joint of a book's front cover."""
    joints = range(p.getNumJoints(book.body, physicsClientId=world.client))
    names = {p.getJointInfo(book.body, j, physicsClientId=world.client)[12].decode(): j for j in joints}
    return names["front_cover"]


def swing(world: SimWorld, book: ItemBody, angle: float, duration_s: float = 0.1) -> None:
    """Hold the front cover at an angle."""
    front = front_cover(world, book)
    for _ in range(round(duration_s / world.clock.nominal_s)):
        world.wake(book.body)
        p.resetJointState(book.body, front, angle, 0.0, physicsClientId=world.client)
        world.step()


def test_a_book_that_is_opened_wider_than_its_limit_is_damaged_once() -> None:
    with still_world() as world:
        book = spawn_item(world, "hardcover-000", make_pose((*BESIDE, 0.016)))
        seconds(world, 0.5)
        monitor = DamageMonitor(world, LIMITS)
        swing(world, book, np.deg2rad(40.0))
        assert monitor.events == ()
        swing(world, book, np.deg2rad(50.0), 0.8)
        swing(world, book, np.deg2rad(80.0), 0.8)
        (event,) = monitor.events
        assert (event.kind, event.unit) == ("opened", "rad")
        assert event.value == pytest.approx(np.deg2rad(80.0), abs=0.03) and event.limit == pytest.approx(np.deg2rad(45.0))
        swing(world, book, 0.0, 0.8)
        swing(world, book, np.deg2rad(50.0))
        assert len(monitor.events) == 2, "opened anew"


def test_a_book_that_lay_open_before_is_not_blamed_on_anyone() -> None:
    with still_world() as world:
        book = spawn_item(world, "hardcover-000", make_pose((*BESIDE, 0.016)))
        swing(world, book, np.deg2rad(60.0))
        monitor = DamageMonitor(world, LIMITS)
        swing(world, book, np.deg2rad(60.0))
        assert monitor.events == ()
        swing(world, book, 0.0)
        swing(world, book, np.deg2rad(60.0))
        assert len(monitor.events) == 1


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_book_that_stood_ajar_is_damaged_when_it_is_opened_wide(share: float) -> None:
    with still_world() as world:
        book = spawn_item(world, "hardcover-000", make_pose((*BESIDE, 0.016)))
        swing(world, book, np.deg2rad(30.0))
        monitor = DamageMonitor(world, LIMITS, watched_share=share)
        swing(world, book, np.deg2rad(35.0))
        assert monitor.events == () and monitor.strains == (), "it was as open before"
        swing(world, book, np.deg2rad(50.0))
        assert len(monitor.events) == 1 and len(monitor.strains) == 1


def test_a_strain_that_grows_into_damage_is_dated_when_it_becomes_damage() -> None:
    with still_world() as world:
        book = spawn_item(world, "hardcover-000", make_pose((*BESIDE, 0.016)))
        seconds(world, 0.5)
        monitor = DamageMonitor(world, LIMITS, watched_share=0.5)
        swing(world, book, np.deg2rad(30.0))
        since_s = world.time_s
        assert len(monitor.strains) == 1 and monitor.events == ()
        swing(world, book, np.deg2rad(60.0))
        (event,) = monitor.events
        assert event.time_s >= since_s > monitor.strains[0].time_s


def slap(world: SimWorld, book: ItemBody, angle: float) -> None:
    """Throw the front cover shut from an angle."""
    world.hold_awake(book.body)
    seconds(world, 0.01)
    p.resetJointState(book.body, front_cover(world, book), angle, -25.0, physicsClientId=world.client)
    seconds(world, 0.3)
    world.release(book.body)


def test_a_book_that_hangs_by_its_cover_opens_and_one_that_is_pinched_across_its_thickness_does_not() -> None:
    with driven() as driver:
        world = driver.world
        x, y, z = world.X_world_link("tcp_suction")[:3, 3] - [0, 0, CELL.hand.cup_stroke_m - 0.005]
        book = spawn_item(world, "hardcover-000", make_pose((x + 0.03, y, z - 0.015)))  # 30 mm thick, sucked near its spine
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.1, 0.1, 0.01], physicsClientId=world.client)
        stand = p.createMultiBody(0, shape, -1, [x, y, z - 0.040], physicsClientId=world.client)
        monitor = DamageMonitor(world, LIMITS, driver=driver)
        driver.set_vacuum(True)
        driver.advance(0.6)
        assert world.item_of_body(driver.cup.held_body) is book and monitor.events == () and monitor.held == (1,)
        p.removeBody(stand, physicsClientId=world.client)
        driver.advance(0.4)
        opened = [e for e in monitor.events if e.kind == "opened"]
        assert len(opened) == 1 and opened[0].value > np.deg2rad(45.0)
    with driven() as driver:
        between_the_pads(driver, "hardcover-000", (np.pi / 2, 0.0, 0.0), 0.075)  # upright, its thickness between the pads
        SimPorts(driver).set_jaw(0.0, 30.0)
        monitor = DamageMonitor(driver.world, LIMITS, driver=driver)
        p.setGravity(0, 0, -9.81, physicsClientId=driver.world.client)
        driver.advance(0.6)
        assert monitor.events == () and monitor.held == (1,)


# -- crush -----------------------------------------------------------------------------------------------------------
def between_the_pads(driver: SimDriver, sku: str, turn: tuple[float, float, float], lower: float = 0.0) -> ItemBody:
    """An item floating between the pads, its centre ``lower`` than they are; the closing axis is the world's y."""
    world = driver.world
    p.setGravity(0, 0, 0, physicsClientId=world.client)
    place = world.X_world_link("tcp_pinch")[:3, 3] - [0.0, 0.0, lower]
    return spawn_item(world, sku, make_pose(place, turn))


def test_a_thin_card_pinched_on_its_edges_buckles_at_eulers_load() -> None:
    across = LIMITS.for_sku("card-000").edge_n[1]  # 54 mm between the pads: 25 N
    assert across == pytest.approx(25.4, rel=0.01)
    with driven() as driver:
        between_the_pads(driver, "card-000", (0.0, 0.0, 0.0))
        monitor = DamageMonitor(driver.world, LIMITS, driver=driver)
        SimPorts(driver).set_jaw(0.0, 0.9 * across)
        driver.advance(0.3)
        assert monitor.events == ()
        SimPorts(driver).set_jaw(0.0, 1.15 * across)
        driver.advance(0.3)
        assert {e.kind for e in monitor.events} == {"crush"} and len(monitor.events) == 1
        assert monitor.events[0].value == pytest.approx(1.15 * across, rel=0.05)
        assert "finger" in monitor.events[0].by


def test_the_same_card_bears_that_force_on_its_face() -> None:
    with driven() as driver:
        between_the_pads(driver, "card-000", (np.pi / 2, 0.0, 0.0))
        monitor = DamageMonitor(driver.world, LIMITS, driver=driver)
        SimPorts(driver).set_jaw(0.0, 60.0)
        driver.advance(0.3)
        assert monitor.events == () and monitor.held == (1,)


@pytest.mark.parametrize("substeps", [1, 4])
def test_the_jaw_crushes_a_box_above_its_limit_at_any_step(substeps: int) -> None:
    limit = LIMITS.for_sku("box-008").crush_n
    with driven() as driver:
        between_the_pads(driver, "box-008", (0.0, 0.0, 0.0))
        driver.world.set_substeps(substeps)
        monitor = DamageMonitor(driver.world, LIMITS, driver=driver)
        SimPorts(driver).set_jaw(0.0, 0.85 * limit)
        driver.advance(0.3)
        assert monitor.events == (), "closing on it is no peak that counts"
        SimPorts(driver).set_jaw(0.0, 1.15 * limit)
        driver.advance(0.3)
        (event,) = monitor.events
        assert event.kind == "crush" and event.value == pytest.approx(1.15 * limit, rel=0.05)


def test_what_the_hand_holds_crushes_what_it_is_pressed_on() -> None:
    """The jaw holds a carton and is lowered on a jar; the arm's force reaches the jar through the carton alone."""
    with driven() as driver:
        world = driver.world
        held = between_the_pads(driver, "box-008", (0.0, 0.0, 0.0))  # a cube of 72 mm
        SimPorts(driver).set_jaw(0.0, 40.0)
        p.setGravity(0, 0, -9.81, physicsClientId=world.client)
        low = p.getAABB(held.body, physicsClientId=world.client)[0]
        jar_top = low[2] - 0.010
        x, y, _ = world.X_world_link("tcp_pinch")[:3, 3]
        jar = spawn_item(world, "jar-000", make_pose((x, y, jar_top - 0.044)))
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.05, 0.05, 0.01], physicsClientId=world.client)
        p.createMultiBody(0, shape, -1, [x, y, jar_top - 0.088 - 0.010], physicsClientId=world.client)
        monitor = DamageMonitor(world, LIMITS.scaled(crush=0.1), driver=driver)  # the jar bears 30 N, the carton 5
        down = ToolMotion(CELL).line(driver.joint_states().select(CELL.arm.joints), (0.0, 0.0, -0.013), 1.0)
        driver.follow(down)
        driver.advance(float(down.times_s[-1]) + 0.3)
        pressed = [e for e in monitor.events if e.item_id == jar.item_id]
        assert [(e.kind, e.by) for e in pressed] == [("crush", "box-008")]


# -- blister ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("film", "damaged"), [(1.0, True), (50.0, False)])
def test_film_under_the_cup_blisters_when_the_vacuum_is_too_much_for_it(film: float, damaged: bool) -> None:
    with driven() as driver:
        world = driver.world
        lip = world.X_world_link("tcp_suction")[:3, 3]
        x, y, z = lip - [0, 0, CELL.hand.cup_stroke_m - 0.005]
        box = spawn_item(world, "shrink-000", make_pose((x, y, z - 0.0325)))  # 65 mm high, 19 um of film
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.04, 0.04, 0.01], physicsClientId=world.client)
        p.createMultiBody(0, shape, -1, [x, y, z - 0.075], physicsClientId=world.client)
        monitor = DamageMonitor(world, LIMITS.scaled(film=film), driver=driver)
        driver.set_vacuum(True)
        driver.advance(0.8)
        assert driver.cup.held_body == box.body
        assert [e.kind for e in monitor.events] == (["blister"] if damaged else [])
        if damaged:
            (event,) = monitor.events
            assert event.value == pytest.approx(driver.cup.vacuum_pa, rel=0.02)
            assert event.limit == pytest.approx(LIMITS.blister_pa(19.1, driver.cell.hand.cup_radius_m))


# -- all at once -----------------------------------------------------------------------------------------------------
TOTE = ("box-008", "jar-000", "hardcover-000", "can-000", "card-006", "mailer-000")


def test_a_filled_tote_that_settles_is_not_damaged_and_one_seed_gives_one_record() -> None:
    records = []
    for _ in range(2):
        with still_world(seed=3) as world:
            fill_tote(world, TOTE, 3)
            monitor = DamageMonitor(world, LIMITS)
            for item in world.item_bodies.values():
                world.wake(item.body)
            seconds(world, 1.5)
            assert monitor.events == ()
            thrown = next(i for i in world.item_bodies.values() if i.name == "can-000")
            place_item(world, thrown, make_pose((0.42, -0.2, 0.75), (0.3, 0.4, 0.5)))
            seconds(world, 1.5)
            records.append(monitor.events)
    assert records[0] == records[1]
    assert {e.sku for e in records[0]} >= {"can-000"}


def test_items_that_are_exchanged_for_stand_ins_and_back_suffer_nothing() -> None:
    with still_world(seed=3) as world:
        fill_tote(world, ("hardcover-000", "mailer-000", "loose_bag-000", "box-008"), 3)
        monitor = DamageMonitor(world, LIMITS.scaled(impact=0.01, crush=0.1, opening=0.3))
        stand_ins = StandIns(world)
        before = stand_ins.swaps
        for _ in range(2):
            stand_ins.close_all(world.item_bodies.values())
            seconds(world, 0.1)
            stand_ins.open_all()
            seconds(world, 0.1)
        assert stand_ins.swaps >= before + 12 and monitor.events == ()


def test_items_asleep_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    with still_world() as world:
        fill_tote(world, TOTE, 3)
        monitor = DamageMonitor(world, LIMITS)
        seconds(world, 0.1)
        assert all(item.asleep for item in world.item_bodies.values())
        for name in ("getBaseVelocity", "getLinkStates", "getContactPoints", "getBasePositionAndOrientation"):
            original = getattr(p, name)

            def counted(*args: object, _original: object = original, **kwargs: object) -> object:
                calls.append(1)
                return _original(*args, **kwargs)  # type: ignore[operator]

            monkeypatch.setattr(p, name, counted)
        monitor._before_step()
        monitor._after_step()
        assert len(calls) == 1, "the contacts of the robot, and nothing of any item"


def test_a_closed_monitor_watches_no_more() -> None:
    with still_world() as world:
        monitor = DamageMonitor(world, LIMITS)
        monitor.close()
        monitor.close()
        lift(world, spawn_item(world, "jar-000", make_pose((0.0, 0.0, 3.0))), 0.5, (0.0, 0.0, 0.0))
        seconds(world, 0.6)
        assert monitor.events == () and add_block(world, (0.1, 0.1, 0.1), 1.0, (0.4, -0.5, 0.05), item_id=9)
