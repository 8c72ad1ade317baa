"""Where the cell's cameras stand: found with a ChArUco board, judged, and kept where the cell reads it.

``board``, ``page``: the board and its printed page. ``views``: what was seen of it. ``fixed_camera``, ``wrist_camera``: a
first guess for each kind of camera. ``reprojection``: the fit. ``result``: what was found, or why it is refused.
``routine``: all cameras of a cell in a row. ``pictures``: a folder of pictures as input.
"""
