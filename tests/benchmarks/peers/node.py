"""Node.js and the pinned packages beside this file, installed when they are first needed."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from carbon.environment import CLONE_DIR

FOLDER = Path(__file__).parent


@functools.cache
def node() -> Path:
    """The program `node`, with the packages of `package-lock.json` in `node_modules` beside it."""
    done = subprocess.run(
        ["./.ci/node", sys.prefix, str(FOLDER)], cwd=CLONE_DIR, stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(done.stdout.strip()) / "node"
