"""Node ``grasp_selector``: ranks the grasps on one instance of a scene."""
