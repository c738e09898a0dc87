"""What a network is given: pixels of packed images and masks, augmentation, batches, features.

Everything is a function of packed arrays and settings, computed when a batch is read. How a
network is built lives in `networks`.
"""
