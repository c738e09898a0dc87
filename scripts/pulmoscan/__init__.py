"""What the scripts of the workflow share, one module a subject."""
