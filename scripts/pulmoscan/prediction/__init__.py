"""A trained network outside the workflow.

What it must be shown and how its answer is read (``model.json`` beside ``model.keras``), and its
predictions for anybody's radiographs.
"""
