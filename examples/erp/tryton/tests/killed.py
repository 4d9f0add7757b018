"""The bridge, killed at one point: python killed.py BEFORE_OR_AFTER commit|ack|submit N CONFIG DATABASE"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trytond.transaction import Transaction

from fulfilld import Client

moment, point, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0


def armed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, that ends the process without any cleanup before or after its n-th call."""

    def call(*args: Any, **values: Any) -> Any:
        global seen
        seen += 1
        if seen == count and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = function(*args, **values)
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return call


owner = Transaction if point == "commit" else Client
setattr(owner, point, armed(getattr(owner, point)))
bridge = Path(__file__).parents[1] / "bridge.py"
sys.argv = [str(bridge), *sys.argv[4:]]
sys.path.insert(0, str(bridge.parent))
runpy.run_path(str(bridge), run_name="__main__")
