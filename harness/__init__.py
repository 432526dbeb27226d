"""The harness: campaigns, hosts, deployment, workloads, nemesis, runner, simulator, report and the command `tri`.

The four packages have short names that others use too. A foreign `node` on the import path would fail somewhere deep and late, so that
importing the harness refuses it here, at once, and says where the stranger lies.
"""

from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_SIBLINGS = ("node", "histories", "checkers")


def _refuse_strangers() -> None:
    for name in _SIBLINGS:
        spec = find_spec(name)
        if spec is None:
            raise ImportError(
                f"the package {name!r} of tribulation is missing: {_ROOT / name}\n\nhint: install the whole distribution; `make setup` does"
            )
        places = [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or "?"]]
        if places[0] != _ROOT / name:
            raise ImportError(
                f"{name!r} is not tribulation's: Python finds it at {places[0]}, ours is {_ROOT / name}\n\n"
                f"hint: run `tri` from another directory, or in an environment of its own (make setup), where no other {name!r} is installed"
            )


_refuse_strangers()
