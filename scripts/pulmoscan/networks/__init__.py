"""Networks and classifiers: backbones and their weights, layers, heads, and where they are cut.

Written against Keras alone and without a training loop, which lives in `training`. Modules that
are read with the Snakefile import Keras only inside functions.
"""
