"""The pages of the kept results: docs/benchmarks/README.md, its plots, and the same as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pickcell_sim.bench import plots
from pickcell_sim.bench.document import Block, Folded, Heading, Image, Table, Text, to_html, to_markdown
from pickcell_sim.bench.result import BenchResult, Metric
from pickcell_sim.bench.run import PAIRED, paired_of, result_name

TITLE = "Benchmarks"
SUITE_ORDER = ("packed", "pile", "tote", "books_boxes", "flats", "bags", "perturbed")
STRATEGY_ORDER = ("suction", "pinch", "auto", PAIRED)
MANY_METRICS = 20
"""More figures than this are folded away."""
PERCEPTIONS = {
    "true": "True perception: every item's true pose and shape is known, which separates causes",
    "estimated": "Estimated perception: the pipeline sees through the cameras alone",
    "learned": "Learned perception: the same with learned segmentation and shapes",
}
_COLUMNS = (
    ("success_rate", "success"),
    ("cleared_rate", "cleared"),
    ("damage_per_1000", "damaged per 1000"),
    ("drop_rate", "dropped"),
    ("missed_rate", "missed"),
    ("wrong_item_rate", "wrong item"),
    ("assist_rate", "asked a person"),
    ("uph", "UPH"),
)
_DIFFERENCES = ("success_rate", "damage_per_1000", "drop_rate", "uph")
_TABLES = {
    "damage_at_other_limits": "Damaged items per 1000 picks, one limit of damage at a time scaled by a factor",
    "damage_ratio_at_other_limits": "Damaged per pick, suction (a) : auto (b), one limit at a time scaled by a factor",
}
"""Lists of rows in the configuration that are shown as tables."""
_INTRO = (
    "Made from the JSON files beside it by `./cell bench page`; `index.html` is the same in one file. "
    "What the suites are, how each figure is defined and how to run them again: [benchmarks.md](../benchmarks.md). "
    "Figures in brackets are 95 % intervals. Everything is simulated; limits of damage and item mix are in each file."
)


def load_results(folder: Path) -> dict[str, BenchResult]:
    """Kept results by the stem of their file. Raises ValueError naming a bad file."""
    return {path.stem: BenchResult.read(path) for path in sorted(folder.glob("*.json"))}


def write_pages(folder: Path) -> list[Path]:
    """Make the plots and both pages of a folder of results. Raises ValueError naming a bad file."""
    results = load_results(folder)
    suites = {name: r for name, r in results.items() if "strategy" in r.config and "perception" in r.config}
    others = {name: r for name, r in results.items() if name not in suites}
    suites |= _missing_pairs(suites)
    blocks: list[Block] = [Heading(1, TITLE), Text(_INTRO)]
    for perception, said in PERCEPTIONS.items():
        blocks += _perception_blocks(_sorted(suites, perception), perception, said, folder)
    runs = sorted(suites.items(), key=lambda item: _order(item[1]))
    details = [_details(name, r, folder) for name, r in runs]
    rest: list[Block] = []
    for name, result in others.items():
        report = folder / f"{name}.md"  # some benchmarks write a page of their own
        more: list[Block] = [Text(f"More: [{report.name}]({report.name}).")] if report.is_file() else []
        picture = folder / "plots" / f"{name}.png"
        more += [Image(picture, name)] if picture.is_file() else []
        inside = _plain(result)
        shown = inside if len(result.metrics) <= MANY_METRICS else [Folded(f"{len(result.metrics)} figures", tuple(inside))]
        rest += [Heading(2, name), *more, *shown]
    heading = [Heading(2, "Each run")] if runs else []
    links = [Text(_links([name for name, _ in runs], folder))] if runs else []
    markdown, page = folder / "README.md", folder / "index.html"
    # dozens of runs with a hundred figures each are too long for the page that is read in previews
    markdown.write_text(to_markdown([*blocks, *heading, *links, *rest], folder))
    page.write_text(to_html(f"pickcell {TITLE.lower()}", [*blocks, *heading, *details, *rest]))
    return [markdown, page]


def _missing_pairs(suites: dict[str, BenchResult]) -> dict[str, BenchResult]:
    """Differences between strategies that were run one by one, where all else was the same."""
    groups: dict[tuple[str, str], list[BenchResult]] = {}
    for result in suites.values():
        groups.setdefault((result.suite, result.config["perception"]), []).append(result)
    made = {}
    for (suite, perception), group in groups.items():
        alike = len({(r.seed, r.config.get("clock"), r.config.get("code")) for r in group}) == 1
        if alike and all(r.config["strategy"] != PAIRED for r in group):
            paired = paired_of(group)
            if paired is not None:
                made[result_name(suite, PAIRED, perception)] = paired
    return made


def _order(result: BenchResult) -> tuple[Any, ...]:
    suite, strategy = result.suite, result.config["strategy"]
    place = SUITE_ORDER.index(suite) if suite in SUITE_ORDER else len(SUITE_ORDER)
    return place, suite, result.config["perception"], STRATEGY_ORDER.index(strategy) if strategy in STRATEGY_ORDER else 9


def _sorted(results: dict[str, BenchResult], perception: str) -> list[BenchResult]:
    return sorted((r for r in results.values() if r.config["perception"] == perception), key=_order)


def _perception_blocks(results: Sequence[BenchResult], perception: str, said: str, folder: Path) -> list[Block]:
    """Overview of one perception: table, plots, differences."""
    runs = [r for r in results if r.config["strategy"] != PAIRED]
    pairs = [r for r in results if r.config["strategy"] == PAIRED]
    if not runs:
        return []
    art = folder / "plots"
    blocks: list[Block] = [Heading(2, said), _overview_table(runs)]
    blocks.append(Text(_clock_sentence(runs)))
    picture = plots.overview(runs, said.split(":")[0], art / f"overview-{perception}.png")
    blocks.append(Image(picture, "success, damage and units per hour"))
    if pairs:
        blocks.append(Heading(3, "Differences between strategies on the same totes"))
        blocks.append(_difference_table(pairs))
        picture = plots.differences(pairs, "Differences, same totes", art / f"differences-{perception}.png")
        blocks.append(Image(picture, "paired differences"))
    blocks.append(Heading(3, "Why picks failed"))
    picture = plots.failure_breakdown(runs, said.split(":")[0], art / f"failures-{perception}.png")
    blocks.append(Image(picture, "failures by code"))
    return blocks


def _overview_table(runs: Sequence[BenchResult]) -> Table:
    rows = []
    for r in runs:
        cells = [_cell(r.metrics.get(key)) for key, _ in _COLUMNS]
        rows.append((f"{r.suite}, {r.config['strategy']}", str(r.n), *cells))
    return Table(("suite, strategy", "n", *(label for _, label in _COLUMNS)), tuple(rows))


def _cell(metric: Metric | None) -> str:
    return metric.text() if metric is not None else "-"


def _clock_sentence(runs: Sequence[BenchResult]) -> str:
    """Which clock the units per hour are of, and what the computations took."""
    clocks = sorted({str(r.config.get("clock")) for r in runs})
    measured = [r.metrics["compute_observe_ms_median"].value for r in runs if "compute_observe_ms_median" in r.metrics]
    took = f" A look took {min(measured):.0f} to {max(measured):.0f} ms (medians) while these ran." if measured else ""
    if clocks == ["fixed"]:
        charged = runs[0].config.get("charged_ms", {})
        said = ", ".join(f"{stage} {ms:.0f}" for stage, ms in charged.items())
        return f"UPH with the clock `fixed`: each call is charged its committed median in ms ({said}).{took}"
    return f"UPH with the clock {', '.join(f'`{clock}`' for clock in clocks)}.{took}"


def _difference_table(pairs: Sequence[BenchResult]) -> Table:
    rows = []
    for r in pairs:
        kinds = dict.fromkeys(name.split("_rate_")[1] for name in r.metrics if name.startswith("success_rate_"))
        for kind in kinds:
            cells = [
                _cell(r.metrics.get(f"{key}_{kind}")) for key in ("success_rate", "damage_per_1000", "drop_rate", "uph")
            ]
            rows.append((f"{r.suite}, {kind.replace('_', ' ')}", str(r.n), *cells))
    return Table(("suite, difference", "totes", "success", "damaged per 1000", "dropped", "UPH"), tuple(rows))


def _links(names: Sequence[str], folder: Path) -> str:
    """Where all figures of each run are, and the pictures of its failures."""

    def link(name: str) -> str:
        file = f"[{name}]({name}.json)" if (folder / f"{name}.json").is_file() else name
        pictures = (folder / "failures" / f"{name}.jpg").is_file()
        return f"{file} ([failures](failures/{name}.jpg))" if pictures else file

    return f"{', '.join(map(link, names))}. All figures of all runs on one page: index.html."


def _details(name: str, result: BenchResult, folder: Path) -> Folded:
    """All figures, facts and tallies of one run, and the pictures of its failures."""
    inside = _plain(result)
    picture = folder / "failures" / f"{name}.jpg"
    if picture.is_file():
        inside.append(Image(picture, f"failures of {name}"))
    return Folded(f"{name} (seed {result.seed}, n = {result.n})", tuple(inside))


def _plain(result: BenchResult) -> list[Block]:
    """Facts, figures and tallies of any result."""
    machine = ", ".join(f"{key} {value}" for key, value in result.machine.items())
    flat = {k: v for k, v in result.config.items() if not isinstance(v, (dict, list))}
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in flat.items())
    rows = tuple(
        (key, _number(m.value), f"{_number(m.low)} .. {_number(m.high)}", m.unit) for key, m in result.metrics.items()
    )
    blocks: list[Block] = [
        Text(f"Seed {result.seed}, n = {result.n}, commit {result.commit}. {facts}."),
        Text(f"Machine: {machine}."),
        Table(("metric", "value", "95 % interval", "unit"), rows),
    ]
    return blocks + _tallies(result)


def _number(value: float) -> str:
    return f"{value:.4g}" if value == value else "-"


def _tallies(result: BenchResult) -> list[Block]:
    """Counts kept in the configuration, such as outcomes by code; lists, such as errors, one by one."""
    blocks: list[Block] = []
    for key, value in result.config.items():
        name = key.replace("_", " ").capitalize()
        if isinstance(value, dict) and value:
            blocks.append(Text(f"{name}: {', '.join(f'{k} {v}' for k, v in _flat(value).items())}."))
        elif key in _TABLES and value:
            rows = tuple(tuple("-" if v is None else str(v) for v in row.values()) for row in value)
            blocks += [Text(f"{_TABLES[key]}:"), Table(tuple(value[0]), rows)]
        elif isinstance(value, list) and value and not isinstance(value[0], dict):
            blocks.append(Text(f"{name}: {'; '.join(map(str, value))}."))
    return blocks


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= _flat(value, f"{prefix}{key} ") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out
