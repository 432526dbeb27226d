"""The newest picture of a cluster, updated regularly in the background, for a table that is redrawn during other work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..systems.base import Dial
from .asking import Asker
from .picture import Picture, look

if TYPE_CHECKING:
    import ssl

EVERY_S = 0.3


class Watch:
    """Watch of a cluster: asks the first of `nodes` that answers, and stays with it while it does."""

    def __init__(
        self,
        cluster: str,
        dial: Dial,
        nodes: Sequence[str],
        every_s: float = EVERY_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._asker = Asker(cluster, dial, tls)
        self._nodes = list(nodes)
        self._every_s = every_s
        self._ended = threading.Event()
        self._looking = threading.Lock()
        self._thread = threading.Thread(target=self._go_on, name="watch", daemon=True)
        self.picture = Picture(self._nodes[0], False)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self._asker.close()

    def start(self) -> None:
        """Start the regular updates; call it once a node answers."""
        self._thread.start()

    def now(self) -> Picture:
        """Return a new picture; if no node answers, that of the last node tried."""
        with self._looking:
            for node in list(self._nodes):
                self.picture = look(self._asker, node)
                if self.picture.answered:
                    self._nodes.remove(node)
                    self._nodes.insert(0, node)
                    break
            return self.picture

    def _go_on(self) -> None:
        while not self._ended.is_set():
            self.now()
            self._ended.wait(self._every_s)
