"""The report's page: tables as HTML, figures, and the text around them.

It shows what the tables of `results` and the audit hold and computes nothing that another stage
could need.
"""
