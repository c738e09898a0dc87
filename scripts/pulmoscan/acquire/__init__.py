"""Where a data set comes from: Kaggle, the authors' sample, a copy of the user's, or a phantom.

`sources` lists the data sources. Each yields the files of a database, checked as far as its origin
allows. How a phantom is drawn lives in `phantom`; what is done with the files lives in `data`.
"""
