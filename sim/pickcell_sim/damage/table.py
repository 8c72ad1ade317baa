"""The limits as a Markdown table, for the documentation and beside every published figure."""

from __future__ import annotations

from pickcell_sim.damage.limits import ClassLimits, DamageLimits, Sourced
from pickcell_sim.damage.mechanics import impact_speed_mps


def limits_table(limits: DamageLimits) -> str:
    """Rules and classes as the file has them, scales left out. ``*`` marks what is assumed."""
    rows = [
        "| class | fall h_c | as speed | pad force | plate modulus | opens | where the fall height comes from |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [_row(name, each) for name, each in limits.classes.items()]
    rules = ["", "| rule | value | source |", "|---|---|---|"]
    named = {name: getattr(limits.rules, name) for name in type(limits.rules).model_fields}
    named |= {"plates.load_width_m": limits.plates.load_width_m, "film.factor": limits.film.factor}
    rules += [f"| `{name}` | {each.value} | {each.source} |" for name, each in named.items()]
    return "\n".join(rows + rules)


def _row(name: str, limits: ClassLimits) -> str:
    height = limits.fall_height_m
    cells = [
        name,
        f"{height.value:.2f} m{_star(height)}",
        f"{impact_speed_mps(height.value):.1f} m/s",
        f"{limits.crush_n.value:.0f} N{_star(limits.crush_n)}",
        "" if limits.modulus_pa is None else f"{limits.modulus_pa.value / 1e9:g} GPa{_star(limits.modulus_pa)}",
        "yes" if limits.opens is not None and limits.opens.value else "",
        height.source.removeprefix("assumed").removeprefix(": "),
    ]
    return "| " + " | ".join(cells) + " |"


def _star(value: Sourced[float]) -> str:
    return " *" if value.assumed else ""
