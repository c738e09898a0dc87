"""Say in one line what is missing before an environment is made. Runs on any Python 3."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "The locked packages have wheels for Python 3.11, 3.12 and 3.13; %s is Python %d.%d. "
        "Choose another with: make env PYTHON=python3.11"
        % ((sys.executable,) + sys.version_info[:2])
    )
try:
    import ensurepip
    import venv

    ensurepip.version, venv.create
except ImportError:
    sys.exit(
        "This Python has no venv module: on Debian or Ubuntu install the package python3-venv, "
        "or choose another Python with: make env PYTHON=/path/to/python3"
    )
