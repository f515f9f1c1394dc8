"""guestfix whose reports leave out the boot walk and the second look that it takes; what remains is its cost."""

import sys

from guestfix.plan import planner
from guestfix.plan.settle import Planned
from guestfix.walk.model import Walk

planner.walk = lambda scene: (Walk(), ())
Planned.touched = lambda planned: set()

from guestfix.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
