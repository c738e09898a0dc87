"""The sections of the page: each function takes a study and returns a part of it as HTML.

What a section shows, and what it says where there is nothing to show, is decided here. How a table
or a figure looks is not, and neither is the order of sections, which is that of the notebook.
"""
