"""Training networks and searching their hyperparameters, resumable to the last bit.

What a network is made of lives in `networks`, what it is fed in `inputs`; scoring what it predicts
lives in `results`.
"""
