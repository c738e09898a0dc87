"""Where a trained network looks: maps of Grad-CAM, their scores, and the panels that show them.

How gradients are computed on each backend is the subject of `backends`.
"""
