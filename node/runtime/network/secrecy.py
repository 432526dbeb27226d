"""From a node's options to what guards its sockets: certificates, keys, and their replacement while it runs."""

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
    """Raises `ConfigError` for files that cannot work, and tells the log as well."""
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
    # Here, because a node without TLS need not load OpenSSL.
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
