"""A stand-in for systemd with one unit, `own.service`: it carries out what the drop-in of a `RunningUnit` says, with real processes.

Its folder has the programs in `bin`, the drop-in in `etc`, and the unit's main process in `MainPID`.
"""

from __future__ import annotations

PLACE = "etc/own.service.d/90-tribulation.conf"
SYSTEMD = """
import os, pathlib, re, shlex, subprocess, sys, time
here, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
drop_in = here / "etc/own.service.d/90-tribulation.conf"

def said(name):
    text = drop_in.read_text() if drop_in.exists() else ""
    lines = re.findall(rf"^{name}=\\+?(.*)$", text, re.M)
    return [shlex.split(line.replace("$$", "$").replace("%%", "%")) for line in lines]

def now_is(pid):
    # A reader must not see the file between its truncation and its text.
    (here / "MainPID.new").write_text(str(pid))
    (here / "MainPID.new").replace(here / "MainPID")

while True:
    for words in said("ExecStartPre"):
        subprocess.run(words, check=True)
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    now_is(child.pid)
    for words in said("ExecStartPost"):
        subprocess.run(words, env={**os.environ, "MAINPID": str(child.pid)}, check=True)
    child.wait()
    now_is(0)
    if said("Restart") != [["always"]]:
        while not (here / "asked").exists():
            time.sleep(0.01)
        (here / "asked").unlink()
    time.sleep(0.1)
"""
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")/.." || exit 1
case "$*" in
    "show --property MainPID --value -- own.service") cat MainPID ;;
    "show --property Restart --value -- own.service") sed -n 's/^Restart=//p' etc/own.service.d/*.conf ;;
    "start --no-block own.service") touch asked ;;
    daemon-reload) echo >>reloads ;;
    *) echo "unknown: $*" >&2; exit 1 ;;
esac
"""
JOURNALCTL = '#!/bin/sh\necho "journal of $2 since $4"\n'
