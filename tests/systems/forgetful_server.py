"""The register server with a bug that shows sometimes: after a pause of more than a second it may forget the last write of each key.

With `options: {often: 0.75}` it does so after three of four pauses. It imports a module of its folder, as adapters do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from register_server import SERVER, RegisterService, client

__all__ = ["client", "service"]

FORGETS = """
def forget():
    import random, time
    last = time.monotonic()
    while True:
        time.sleep(0.02)
        now = time.monotonic()
        if now - last > 1.0 and random.random() < OFTEN:
            with lock:
                values.update(old)
        last = now

threading.Thread(target=forget, daemon=True).start()

class Handler("""


class ForgetfulService(RegisterService):
    name = "forgetful-server"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.program = SERVER.replace("class Handler(", FORGETS.replace("OFTEN", str(float(options["often"])), 1), 1)


def service(options: Mapping[str, Any]) -> ForgetfulService:
    return ForgetfulService(options)
