"""The reason why an SSH connection could not be made: one clear line and one hint for each kind of failure.

Paramiko distinguishes some of these only by their text, so that is parsed too.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import paramiko

from ..errors import ConnectError, Reason
from .places import beside_port

REASON_LOST = "Unable to open channel"
"""The message of a refused channel of several that are refused at once: paramiko keeps the reason of only one."""


class UnknownHostKey(Exception):
    """The host showed a key that no known_hosts entry has."""

    def __init__(self, hostname: str, key: paramiko.PKey) -> None:
        super().__init__(hostname)
        self.kind = key.get_name()
        self.fingerprint = key.fingerprint


def explain(
    error: BaseException, where: str, name: str, *, key: Path | None = None, timeout_s: float = 0.0
) -> ConnectError:
    """`error`, raised while connecting to the host `name`, as a `ConnectError`."""
    reason, what, hint = _diagnose(error, key, timeout_s)
    return error if isinstance(error, ConnectError) else ConnectError(name, reason, f"{where}: {what}", hint)


def explain_tunnel(
    error: BaseException, where: str, name: str, address: str, port: int, timeout_s: float
) -> ConnectError:
    """Return `error`, raised when the bastion at `where` was to connect further, as a `ConnectError`."""
    to = beside_port(address, port)
    if isinstance(error, paramiko.ChannelException) and error.code == 1:
        hint = "its sshd_config needs `AllowTcpForwarding yes` (or `local`), and a `PermitOpen` that allows it"
        return ConnectError(name, "refused", f"{where}: does not allow a connection to {to}", hint)
    if isinstance(error, paramiko.ChannelException) or REASON_LOST in str(error):
        hint = "does that host listen on that port, and can the bastion reach it?"
        return ConnectError(name, "refused", f"{where}: has no connection to {to}", hint)
    if "imeout" in str(error):
        hint = "is that host up, and does a firewall between it and the bastion drop the port?"
        return ConnectError(name, "timeout", f"{where}: no connection to {to} within {timeout_s:.3g} s", hint)
    return explain(error, where, name, timeout_s=timeout_s)


def _diagnose(error: BaseException, key: Path | None, timeout_s: float) -> tuple[Reason, str, str]:
    if isinstance(error, UnknownHostKey):
        hint = "compare the fingerprint with the host's own, then add its key: ssh-keyscan -p PORT ADDRESS >> ~/.ssh/known_hosts"
        return "host-key", f"the host's key is not known ({error.kind} {error.fingerprint})", hint
    if isinstance(error, paramiko.BadHostKeyException):
        what = f"the host's key does not match the known one (got {error.key.get_name()} {error.key.fingerprint})"
        return (
            "host-key",
            what,
            "another machine answers at this address, or the host was reinstalled: check this, then ssh-keygen -R ADDRESS",
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return (
            "auth",
            f"the key {key or ''} is encrypted",
            "load it into ssh-agent and remove `key`, or use a key without a passphrase",
        )
    if isinstance(error, paramiko.BadAuthenticationType):
        allowed = ", ".join(error.allowed_types)
        hint = "put your public key into the host's ~/.ssh/authorized_keys (ssh-copy-id); passwords are not used"
        return "auth", f"the host takes no keys, only: {allowed}", hint
    if isinstance(error, paramiko.AuthenticationException) and "timeout" in str(error):
        return "timeout", "the login did not end in time", "the machine may be overloaded: look at its load, try again"
    if isinstance(error, paramiko.AuthenticationException) and "EOF" in str(error):
        return "lost", "the connection ended during the login", "is sshd's limit of logins reached? Its log says why"
    if isinstance(error, paramiko.AuthenticationException) or "authentication methods available" in str(error):
        which = f"the key {key}" if key else "the agent's and default keys"
        return (
            "auth",
            f"login refused with {which}",
            "is the user right, and the public key in the host's ~/.ssh/authorized_keys?",
        )
    if isinstance(error, FileNotFoundError | PermissionError) and error.filename:
        return (
            "auth",
            f"{error.filename} cannot be read: {error.strerror}",
            "check `key` and `known_hosts` in the inventory",
        )
    if isinstance(error, paramiko.pkey.UnknownKeyType | ValueError) and key:
        return (
            "auth",
            f"the key {key} has an unknown format: {error}",
            "it must be an OpenSSH private key (ed25519, ecdsa or rsa)",
        )
    if isinstance(error, paramiko.SSHException | EOFError):
        return _protocol(error, timeout_s)
    return _network(error, timeout_s)


def _protocol(error: BaseException, timeout_s: float) -> tuple[Reason, str, str]:
    text = str(error) or type(error).__name__
    if "banner" in text:
        hint = "does an SSH server listen on that port, and is the host not overloaded?"
        return (
            "banner",
            f"connected, but no SSH banner came within {timeout_s:.3g} s, or the connection was closed first",
            hint,
        )
    if "No existing session" in text:
        # This is how paramiko reports that its key exchange was not over in time.
        return "timeout", f"no SSH key exchange within {2 * timeout_s:.3g} s", "is the host overloaded?"
    if "imeout" in text:
        return "timeout", f"no answer within the deadline: {text}", "is the host overloaded, paused, or cut off?"
    return "lost", f"the connection broke: {text}", "did sshd or the host stop? its log (journalctl -u ssh) may say why"


def _network(error: BaseException, timeout_s: float) -> tuple[Reason, str, str]:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror):
        return "name", f"the name does not resolve: {error.strerror}", "check `address`, or use an IP address"
    if isinstance(error, TimeoutError):
        return (
            "timeout",
            f"no connection within {timeout_s:.3g} s",
            "is the host up, and does a firewall drop the SSH port?",
        )
    if isinstance(error, ConnectionRefusedError):
        return (
            "refused",
            "connection refused: nothing listens on that port",
            "is sshd running there, and is `port` right?",
        )
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
        return "unreachable", f"unreachable: {error}", "is the host up, and is there a route to it?"
    if isinstance(error, ConnectionAbortedError):
        return "lost", str(error), "tri hosts list shows the labs that are up"
    return "lost", f"{type(error).__name__}: {error}", "does the network between here and the host work?"
