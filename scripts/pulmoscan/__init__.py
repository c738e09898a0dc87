"""What the scripts of the workflow share, in rooms with one subject each.

Data flows one way: a room imports only from the rooms before it, in the order of ``ROOMS``. The
modules beside the rooms, `command` and `spelling`, import from none of them.
"""

ROOMS = (
    "storage",
    "data",
    "phantom",
    "acquire",
    "inputs",
    "networks",
    "config",
    "backends",
    "training",
    "prediction",
    "explain",
    "results",
    "report",
)
