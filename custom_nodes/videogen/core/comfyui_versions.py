"""The ComfyUI versions that videogen supports: said here, and nowhere else in code.

Pure text, because the installer reads it before any package is installed.
"""

from __future__ import annotations

#: The tests that talk to a ComfyUI are run on each of these, the oldest first (`python -m tests.cores`). The whole suite
#: runs on the one that install.py sets up.
TESTED = ("0.3.75", "0.33.0")
#: Older ones are refused: nothing is tested with them. There is no upper limit; a feature that a newer one lacks is named.
OLDEST, NEWEST_TESTED = TESTED[0], TESTED[-1]
