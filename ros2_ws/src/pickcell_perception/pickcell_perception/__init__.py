"""Node ``scene``: camera images in, scenes out."""
