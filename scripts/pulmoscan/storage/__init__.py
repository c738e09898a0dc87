"""Files: atomic writing, arrays, tables, checkpoints, digests of content and code, disk space.

Nothing here knows what the files mean. What is inside a radiograph or a workbook lives in `data`.
"""
