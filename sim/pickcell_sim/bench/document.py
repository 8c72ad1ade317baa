"""A page as a list of blocks, written as Markdown or as one self-contained HTML file."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph. Words in `` ` `` are set as code, ``[words](address)`` is a link."""

    text: str


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """All columns but the first are set to the right when ``numeric``."""
    numeric: bool = True


@dataclass(frozen=True)
class Image:
    path: Path
    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when asked for."""

    summary: str
    blocks: tuple[Block, ...]


Block = Heading | Text | Table | Image | Folded


def to_markdown(blocks: Sequence[Block], folder: Path) -> str:
    """Markdown whose pictures are linked relative to ``folder``."""
    return "\n\n".join(_markdown(block, folder) for block in blocks) + "\n"


def _markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Text():
            return block.text
        case Table():
            first = ["---", *(["---:"] * (len(block.head) - 1) if block.numeric else ["---"] * (len(block.head) - 1))]
            rows = [block.head, tuple(first), *block.rows]
            return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        case Image():
            return f"![{block.text}]({block.path.relative_to(folder).as_posix()})"
        case Folded():
            inside = "\n\n".join(_markdown(each, folder) for each in block.blocks)
            return f"<details><summary>{html.escape(block.summary)}</summary>\n\n{inside}\n\n</details>"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1, h2, h3 { line-height: 1.25; } h2 { border-bottom: 1px solid #d5dae0; padding-bottom: .2em; margin-top: 2em; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; display: block; overflow-x: auto; }
th, td { border: 1px solid #d5dae0; padding: .25em .6em; text-align: left; vertical-align: top; }
th { background: #f2f4f7; } table.numeric td:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } code { background: #f2f4f7; padding: 0 .25em; } summary { cursor: pointer; color: #0b57a4; }
"""


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """One HTML file, pictures inside."""
    body = "\n".join(map(_html, blocks))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
        case Text():
            return f"<p>{_inline(block.text)}</p>"
        case Table():
            head = "".join(f"<th>{_inline(cell)}</th>" for cell in block.head)
            rows = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>\n" for row in block.rows)
            kind = ' class="numeric"' if block.numeric else ""
            return f"<table{kind}><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>"
        case Image():
            data = base64.b64encode(block.path.read_bytes()).decode()
            kind = "jpeg" if block.path.suffix in (".jpg", ".jpeg") else "png"
            return f'<p><img alt="{html.escape(block.text)}" src="data:image/{kind};base64,{data}"></p>'
        case Folded():
            inside = "\n".join(map(_html, block.blocks))
            return f"<details><summary>{html.escape(block.summary)}</summary>\n{inside}\n</details>"


def _inline(text: str) -> str:
    """Code, links and bold of a paragraph as HTML."""
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', text)
