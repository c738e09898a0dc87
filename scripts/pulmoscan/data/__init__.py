"""The data set: its layout, its images and metadata, their audit, and which images train and test.

From a raw folder to packed arrays, the tables about them, splits and samplings. Where a data set
comes from lives in `acquire` and `phantom`, what a network sees of an image in `inputs`.
"""
