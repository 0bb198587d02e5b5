"""The real worker with one step of inversion instead of ten.

For tests of what goes in and comes out: most of a small job's time goes into the nine others.
"""

from __future__ import annotations

import sys

from engines.networks.encoder import Encoder
from server.service.work.worker import main

if __name__ == "__main__":
    Encoder.refinement = 1
    sys.exit(main())
