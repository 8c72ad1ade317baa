"""Node ``pick_task``: runs picks and orders over the stage nodes and drivers, and answers operators."""
