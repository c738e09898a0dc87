"""The report's page: what it reads (`study`), shows (`sections`), says (`captions`, `sentences`).

`tables`, `run_tables` and the modules of figures decide how a table or a figure looks, `page` what
it is in HTML. Nothing is computed here that another stage could need.
"""
