"""Identity: which product of the manifest an instance is, with a probability."""

from pickcell.identity.appearance import ColorGallery
from pickcell.identity.config import IdentityConfig
from pickcell.identity.match import Identifier, SizeAndColorIdentifier

__all__ = ["ColorGallery", "Identifier", "IdentityConfig", "SizeAndColorIdentifier"]
