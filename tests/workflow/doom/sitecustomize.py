"""Python runs this at its start where the folder of this file is in ``PYTHONPATH``."""

import doomed

doomed.start()
