"""The items of the simulated cell: what they are, how they look, which split they belong to, what lies in a tote."""

from pickcell_sim.items.assets import ensure_item, item_spec
from pickcell_sim.items.facts import PrintedFacts, printed_facts
from pickcell_sim.items.spec import KINDS, ItemSpec
from pickcell_sim.items.totes import MIXES, ToteContents, ToteFileError, load_split, load_tote, mixed_tote, random_tote

__all__ = [
    "KINDS",
    "MIXES",
    "ItemSpec",
    "PrintedFacts",
    "ToteContents",
    "ToteFileError",
    "ensure_item",
    "item_spec",
    "load_split",
    "load_tote",
    "mixed_tote",
    "printed_facts",
    "random_tote",
]
