"""What came out of the runs: scores with intervals, beside published figures and baselines.

Tables in, tables out: no image and no network is read here. How a table is shown lives in `report`.
"""
