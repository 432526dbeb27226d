"""Security of a node's sockets, from its options: certificates, keys, and their replacement at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ConfigError
from ..options import RuntimeOptions
from ..security.authentic import Keys, load_keys
from ..security.identity import Identity
from ..security.rotating import Rotating
from ..telemetry.logs import NodeLog
from .shared import Shared

if TYPE_CHECKING:
    from ..security.tls import Credentials


def shared_of(options: RuntimeOptions, incarnation: int, log: NodeLog) -> Shared:
    """Make the shared state of the sockets from the options. Raises `ConfigError`, which is logged too, for files that cannot work."""
    try:
        tls, keys = _tls(options, log), _keys(options, log)
    except ConfigError as error:
        log.error("cannot use certificates or keys", reason=error.message, hint=error.hint)
        raise
    return Shared(options.node, options.cluster, incarnation, options.limits, log, tls, keys)


def _tls(options: RuntimeOptions, log: NodeLog) -> Rotating[Credentials] | None:
    files = options.tls
    if files is None:
        return None
    # Imported here, because a node without TLS does not need OpenSSL.
    from ..security.tls import load_credentials

    own = Identity(options.cluster, "node", options.node)
    paths = (files.ca, files.certificate, files.key)
    rotating = Rotating("certificate", paths, lambda again: load_credentials(files, own, in_time=again), log)
    if rotating.value.doubt is not None:
        log.warning("others will not accept this node's certificate", why=rotating.value.doubt)
    return rotating


def _keys(options: RuntimeOptions, log: NodeLog) -> Rotating[Keys] | None:
    path = options.datagram_key
    return None if path is None else Rotating("datagram key", (path,), lambda _: load_keys(path), log)
