"""The configuration: its checks, models, stages, hyperparameters, and the run table.

Everything is checked here, once, while the Snakefile is parsed; scripts trust what they are given.
Nothing here imports Keras or reads an image.
"""
