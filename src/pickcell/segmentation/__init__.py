"""Segmentation: which points of the fused surface, and which pixels, belong to which item."""

from pickcell.segmentation.config import SegmentationConfig
from pickcell.segmentation.labels import label_images
from pickcell.segmentation.segment import PatchSegmenter, Segmenter

__all__ = ["PatchSegmenter", "SegmentationConfig", "Segmenter", "label_images"]
