"""What a network is given: pixels of packed images and masks, augmentation, batches, features.

All of it is a function of packed arrays and settings. How a network is built, and which part of it
computes the features, is the subject of `networks`.
"""
