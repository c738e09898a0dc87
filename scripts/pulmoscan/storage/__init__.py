"""Files: atomic writing, arrays, tables, checkpoints, and digests of content and code.

Nothing here knows what the files mean. What is inside a radiograph or a workbook lives in `data`.
"""
