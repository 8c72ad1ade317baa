"""What there is to say of a look, as Markdown: what was found, how the cameras are, how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pickcell.outcome import Outcome
from pickcell.values import CameraHealth, Instance, Scene, Sku
from pickcell.view.look import Look


def summary(look: Look) -> str:
    """A sentence each: what was found, the cameras' health, the time it took."""
    parts = [found_text(look.outcome), cameras_text(look.cameras)]
    if look.outcome.value is not None:
        parts.append(timings_text(look.outcome.value.timings_ms))
    return "\n\n".join(parts)


def found_text(outcome: Outcome[Scene]) -> str:
    """How many items were found and named, or why there are none."""
    scene = outcome.value
    if scene is None or not outcome.ok:
        return f"**{outcome.code.value}**: {outcome.text}"
    named = sum(each.identity.sku is not None for each in scene.instances)
    return f"**{_count(len(scene.instances), 'item')} found**, {named or 'none'} of them with a name."


def cameras_text(cameras: Sequence[CameraHealth]) -> str:
    """Which cameras were used, and what is wrong or odd about each."""
    if not cameras:
        return "Nothing is known of the cameras."
    used = [each for each in cameras if each.used]
    depth = 100.0 * sum(each.valid_fraction for each in used) / max(1, len(used))
    head = f"**Cameras**: {len(used)} of {len(cameras)} used"
    head += f", depth on {depth:.0f} % of their pixels." if used else "."
    notes = [
        f"- {each.camera}{'' if each.used else ' (not used)'}: {each.note or 'no reason given'}"
        for each in cameras
        if each.note or not each.used
    ]
    return "\n".join([head, "", *notes]).strip()


def timings_text(timings_ms: Mapping[str, float]) -> str:
    """The time of all stages together and of each; steps inside a stage (``fusion_maps``) are part of theirs."""
    stages = {name: ms for name, ms in timings_ms.items() if name.partition("_")[0] not in timings_ms or "_" not in name}
    if not stages:
        return "No times were taken."
    each = ", ".join(f"{name} {ms:.0f}" for name, ms in stages.items())
    return f"**Time**: {sum(stages.values()):.0f} ms ({each})."


def items_table(instances: Sequence[Instance], catalogue: Mapping[str, Sku]) -> str:
    """A row per instance: number, product, how sure that is, how sure it is one item, how free it lies; in percent."""
    if not instances:
        return "No items."
    rows = ["| | product | sure | one item | free |", "|---:|---|---:|---:|---:|"]
    for each in instances:
        sku = each.identity.sku
        known = catalogue[sku].name if sku is not None and sku in catalogue else ""
        product = "?" if sku is None else f"{sku} {known}".replace("|", "/").strip()
        sure = "" if sku is None else f"{100 * each.identity.confidence:.0f}"
        rows.append(f"| {each.id} | {product} | {sure} | {100 * each.confidence:.0f} | {100 * each.exposure:.0f} |")
    return "\n".join(rows)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
