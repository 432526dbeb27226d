"""Forty ways in which an adapter is wrong: each gets one sentence with its place and a hint, and nothing of it is left on the host."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.full import full
from tests.harness.systems.loopback import LoopbackHost, free_port
from tribulation.harness.adapters import leftovers
from tribulation.harness.adapters.skeleton import write_system
from tribulation.harness.adapters.trial import Trial
from tribulation.harness.errors import CampaignError
from tribulation.harness.run.plan.build import System
from tribulation.harness.run.plan.own_system import load_system

SERVICE = "    def files(self, host, cluster):"
"""Methods go in before this line of the service, and before `CLIENT` of the client."""
CLIENT = "    def ask(self, method, key, body=None):"
COMMAND = '        return [host.python, self.path(host, "my_database_server.py"), str(self.port)]'
READ = '        return self.ask("GET", op.key)[1]'
WRITE = '        self.ask("PUT", op.key, str(op.value))'
LAST = "service, client = MyDatabase, MyDatabaseClient"


def method(head: str, *body: str) -> str:
    return f"    def {head}:\n" + "".join(f"        {line}\n" for line in body)


# What replaces which text of the skeleton, and what is said when the file is loaded.
LOADED = {
    "a syntax error": (LAST, "service = (", r"my_database\.py:\d+: SyntaxError"),
    "it raises": (LAST, "1 / 0", r"my_database\.py:\d+ \(<module>\): ZeroDivisionError"),
    "it exits": (LAST, "import sys\nsys.exit(3)", "SystemExit: 3"),
    "a module that is missing": (LAST, "import nothing_like_it", "No module named 'nothing_like_it'"),
    "no service": (LAST, "client = MyDatabaseClient", "does not define service"),
    "no client": (LAST, "service = MyDatabase", "does not define client"),
    "a service that is no function": (LAST, "service, client = 5, MyDatabaseClient", "does not define service"),
    "service() raises": (
        LAST,
        LAST + "\ndef service(options):\n    raise KeyError('host')",
        r"service\(options\) raised KeyError: 'host'",
    ),
    "service() exits": (
        LAST,
        LAST + "\ndef service(options):\n    raise SystemExit(1)",
        r"service\(options\) raised SystemExit",
    ),
    "service() answers None": (
        LAST,
        LAST + "\ndef service(options):\n    pass",
        r"NoneType\.install\(host, cluster\) is missing",
    ),
    "client() answers None": (
        LAST,
        LAST + "\ndef client(options):\n    pass",
        r"NoneType\.open\(node, dial, timeout_s\) is missing",
    ),
    "a port that is a text": (
        "    port = 8500",
        '    port = "8500"',
        "MyDatabase.port is '8500': the number of the port",
    ),
    "capabilities that are a text": (
        SERVICE,
        f'    capabilities = "disk"\n\n{SERVICE}',
        "MyDatabase.capabilities is 'disk'",
    ),
    "a property that raises": (
        SERVICE,
        "    @property\n" + method("name(self)", "raise OSError('no')") + SERVICE,
        r"MyDatabase\.name is OSError\('no'\)",
    ),
    "a method with too few arguments": (
        SERVICE,
        method("start(self, host)", "pass") + SERVICE,
        r"start\(host, environment\) is called with 2 arguments",
    ),
}

# What is found by the trial: the text, what replaces it, the step, and what is said.
CHEAP = {
    "install raises": (SERVICE, method("prepare(self, host, cluster)", "raise ValueError('no license')") + SERVICE, "install", r"install\(n1.*\) raised ValueError: no license \(.*my_database\.py:\d+"),
    "files() answers None": ("        return {\"my_database_server.py\"", "        return None\n        return {\"my_database_server.py\"", "install", r"files\(host, cluster\) returned None, not a mapping"),
    "a file outside its folder": ('        return {"my_database_server.py"', '        return {"../other.conf": ""}\n        return {"my_database_server.py"', "install", r"names '\.\./other\.conf', which is not below its own folder"),
    "a file that is a number": ('        return {"my_database_server.py"', '        return {"a.conf": 5}\n        return {"my_database_server.py"', "install", "gives a.conf the content 5, which is not a text"),
    "command() answers None": (COMMAND, "        return None", "start", r"command\(host, cluster\) returned None, not a list"),
    "command() answers a text": (COMMAND, '        return "sleep 100"', "start", "returned 'sleep 100', not a list"),
    "command() answers nothing": (COMMAND, "        return []", "start", r"returned \[\], not a list"),
    "an argument that is a number": (COMMAND, COMMAND.replace("str(self.port)", "self.port"), "start", r"returned the argument \d+, which is not a text"),
    "processes() answers a list": (SERVICE, method("processes(self, host, cluster)", "return [['sleep', '100']]") + SERVICE, "start", "not a mapping of names to commands"),
    "environment() answers a list": (SERVICE, method("environment(self, host, cluster)", "return ['A=1']") + SERVICE, "start", "not a mapping of names to texts"),
    "a program that does not exist": (COMMAND, "        return ['/no/such/program']", "start", "ended while it started: .*No such file"),
    "a program that a host lacks": ("    programs = ()", "    programs = ('no-such-server',)", "install", "needs no-such-server, and the host has no such program"),
    "install() is not repeatable": (SERVICE, method("install(self, host, cluster)", "super().install(host, cluster)", "host.run(['mkdir', self.path(host, 'once')])") + SERVICE, "install", "install.n1. raised .*mkdir"),
}  # fmt: skip
DEAR = {
    "start() hangs": (SERVICE, method("start(self, host, environment)", "import threading", "threading.Event().wait()") + SERVICE, "start", r"start\(n1\) did not return within 6 s"),
    "ready() hangs": (SERVICE, method("ready(self, host)", "import threading", "threading.Event().wait()") + SERVICE, "start", "wait_ready.n1. did not return within 9 s"),
    "ready() raises": (SERVICE, method("ready(self, host)", "return {}['up']") + SERVICE, "start", r"KeyError: 'up'"),
    "it listens elsewhere": (COMMAND, COMMAND.replace("str(self.port)", "str(self.port + 1)"), "start", "is not ready after 3 s"),
    "it makes itself a daemon": (COMMAND, "        return ['sh', '-c', f'setsid {host.python} {self.path(host, \"my_database_server.py\")} {self.port} & exit 0']", "start", "ended while it started"),
    "it ends at the first request": (".read_text()}", ".read_text().replace('status = 200', 'import os; os._exit(1)')}", "register: cas", "the system ended while cas of"),
    "start() starts another one": (SERVICE, method("pid(self, host)", "return super().pid(host) if not hasattr(self, 'twice') else None") + method("start(self, host, environment)", "self.twice = True", "super().start(host, environment)", "del self.twice") + SERVICE, "start again", "started it again"),
    "pid() answers a text": (SERVICE, method("pid(self, host)", "return '12'") + SERVICE, "start", r"MyDatabase\.pid\(n1\) answered '12'"),
    "pid() answers True": (SERVICE, method("pid(self, host)", "return True") + SERVICE, "start", r"MyDatabase\.pid\(n1\) answered True"),
    "pid() answers 1": (SERVICE, method("pid(self, host)", "return 1") + SERVICE, "start", r"pid\(n1\) answered 1.*"),
    "pid() of no process": (SERVICE, method("pid(self, host)", "return 4194300") + SERVICE, "start", "pid.n1. is 4194300, and there is no such process"),
    "connect() raises": ("        return http.client.HTTPConnection(*address, timeout=timeout_s)", "        return http.Client(*address)", "client", r"open raised AttributeError: .*my_database\.py"),
    "connect() answers nothing": ("        return http.client.HTTPConnection(*address, timeout=timeout_s)", "        pass", "register: write", "AttributeError: 'NoneType' object"),
    "connect() goes elsewhere": ("        return http.client.HTTPConnection(*address, timeout=timeout_s)", "        return http.client.HTTPConnection('127.0.0.1', MyDatabase.port, timeout=timeout_s)", "register: read", "never connected to the address that connect.. got"),
    "an operation that hangs": (WRITE, "        import threading\n        threading.Event().wait()", "register: write", r"write \(register\) did not return within 2.5 s"),
    "an operation that exits": (WRITE, "        raise SystemExit(1)", "register: write", "raised SystemExit: 1"),
    "a value that JSON lacks": (READ, "        self.ask('GET', op.key)\n        return float('nan')", "register: read", "holds nan, which JSON lacks"),
    "a value of another type": (READ, "        self.ask('GET', op.key)\n        return object()", "register: read", "of type object, which JSON lacks"),
    "an outcome of no type": (READ, "        return Outcome('done', 1)", "register: read", "an Outcome of type 'done'; it is ok, fail or info"),
    "a write that answers another value": (WRITE, WRITE + "\n        return 'OK'", "register: write", r"answered write of \d+ with 'OK'; leave the value out"),
    "errors are swallowed": (CLIENT, method("ask(self, *words)", "try:", "    return self._ask(*words)", "except Exception:", "    return 200, 1") + CLIENT.replace("ask", "_ask"), "pause", "ended ok while all processes below pid.host. were paused"),
    "doubt is called fail": ("    definite = ()", "    definite = (Exception,)", "pause", "it may still happen then: that is `info`"),
    "close() hangs": (CLIENT, method("close(self)", "import threading", "threading.Event().wait()") + CLIENT, "client", "close did not return within 6 s"),
    "close() raises": (CLIENT, method("close(self)", "super().close()", "raise ValueError('twice')") + CLIENT, "client", "close raised ValueError: twice"),
    "a leader that is no node": (SERVICE, method("leader(self, hosts, dial)", "return 'primary'") + SERVICE, "leader and status", "answered 'primary', not a node"),
    "a status that is a list": (SERVICE, method("status(self, host, dial)", "return [1]") + SERVICE, "leader and status", r"MyDatabase\.status\(n1\) answered \[1\]"),
    "data that is elsewhere": ("    data = None", '    data = "elsewhere"', "data", "no host has a file below its data directory"),
    "children are not waited for": (COMMAND, "        return [host.python, '-c', 'import subprocess, sys; keep = [subprocess.Popen([\"true\"]) for _ in range(20)]; sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())', self.path(host, 'my_database_server.py'), str(self.port)]", "processes", r"\d+ processes below pid.n1. have ended and were not waited for"),
    "a flood of output": (COMMAND, "        return ['sh', '-c', f'head -c 80000000 /dev/zero; exec {host.python} {self.path(host, \"my_database_server.py\")} {self.port}']", "files to keep", "has \\d+ MiB already"),
    "files to keep that are not there": (SERVICE, method("kept_files(self, host)", "return {'logs/a.log': '/no/such/file'}") + SERVICE, "files to keep", "names /no/such/file as logs/a.log"),
    "files to keep that are a list": (SERVICE, method("kept_files(self, host)", "return ['/tmp']") + SERVICE, "files to keep", r"kept_files\(n1\) answered \['/tmp'\], not a mapping"),
    "stop() raises": (SERVICE, method("stop(self, host)", "raise OSError('busy')") + SERVICE, "stop", r"stop\(n1\) raised OSError: busy"),
    "stop() hangs": (SERVICE, method("stop(self, host)", "import threading", "threading.Event().wait()") + SERVICE, "stop", "stop.n1. did not return within 6 s"),
    "uninstall() raises": (SERVICE, method("uninstall(self, host)", "raise OSError('busy')") + SERVICE, "uninstall", r"uninstall\(n1\) raised OSError: busy"),
}  # fmt: skip


def adapter(folder: Path, before: str, after: str) -> tuple[Path, int]:
    write_system("my-database", folder)
    path, port = folder / "my_database.py", free_port()
    text = path.read_text()
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, after).replace("port = 8500", f"port = {port}"))
    return path, port


def test_there_are_forty() -> None:
    assert len(LOADED) + len(CHEAP) + len(DEAR) >= 40


@pytest.mark.parametrize("way", LOADED)
def test_what_is_wrong_when_it_is_loaded(tmp_path: Path, way: str) -> None:
    before, after, said = LOADED[way]
    path, _ = adapter(tmp_path, before, after)
    with pytest.raises(CampaignError, match=said) as refused:
        load_system(path, {})
    assert refused.value.hint and str(path) in refused.value.message


@pytest.mark.parametrize("way", [*CHEAP, *full(*DEAR)])
def test_what_is_wrong_when_it_is_tried(tmp_path: Path, way: str) -> None:
    before, after, step, said = {**CHEAP, **DEAR}[way]
    path, port = adapter(tmp_path, before, after)
    (tmp_path / "host").mkdir()
    host, closed = LoopbackHost("n1", "127.0.0.1", tmp_path / "host"), free_port()
    trial = Trial(
        System(*load_system(path, {})),
        [host],
        lambda node, timeout_s: socket.create_connection(("127.0.0.1", port), timeout_s),
        lambda node, timeout_s: socket.create_connection(("127.0.0.1", closed), timeout_s),
        ready_s=3,
        call_s=6,
        operation_s=0.5,
    )
    wrong = {found.name: found for found in trial.steps() if found.wrong}
    assert step in wrong, wrong
    assert re.search(said, wrong[step].wrong), wrong[step]
    assert wrong[step].hint and "\n" not in wrong[step].wrong.strip()
    assert leftovers.running(host) == {} and list((tmp_path / "host").iterdir()) == []
