"""Networks and classifiers: backbones and their weights, layers, heads, and where they are cut.

Written against Keras alone. No training loop lives here: that is the subject of `training`. Modules
that are imported while the Snakefile is parsed import Keras only inside functions.
"""
