"""Where a data set comes from: Kaggle, the authors' public sample, or a copy of the user's.

Each source yields the files of a database, checked as far as its origin allows. Synthetic
radiographs live in `phantom`; what is done with the files lives in `data`.
"""
