"""Completion: the full shape of an item from the part of it that was seen."""

from pickcell.completion.box import fit_box
from pickcell.completion.complete import Completed, Completer, GeometricCompleter
from pickcell.completion.config import CompletionConfig

__all__ = ["Completed", "Completer", "CompletionConfig", "GeometricCompleter", "fit_box"]
