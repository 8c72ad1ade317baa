"""Grasping: where and with which tool to take an item. See docs/grasping.md."""

from pickcell.grasping.config import GraspConfig
from pickcell.grasping.selector import GraspSelector

__all__ = ["GraspConfig", "GraspSelector"]
