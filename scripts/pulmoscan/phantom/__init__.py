"""Synthetic radiographs in the layout of the database, with planted, known defects.

For the demo and the tests. Nothing here reads a real image, and nothing elsewhere depends on how a
phantom is drawn.
"""
