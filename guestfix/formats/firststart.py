"""What runs at a Linux guest's first start, once: packages and scripts of the operator; and what is kept of it.

Sources: systemd.unit(5) (ConditionPathExists, ordering after the target that wants a unit), chkconfig(8), insserv(8),
openrc-run(8), sha256sum(1), setsid(1).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from guestfix.base.patterns import regex
from guestfix.base.record import frozen

NAME = "guestfix-payload"
FOLDER = f"/var/lib/{NAME}"
SCRIPT = f"{FOLDER}/run.sh"
TASKS = f"{FOLDER}/tasks"
DIGESTS = "SHA256SUMS"
MARKER = f"{FOLDER}/started"
"""A folder: making one is a single step, so that no two starts both begin."""
OUTCOME, LOG = f"{MARKER}/outcome", f"{MARKER}/log"
UNIT = f"/etc/systemd/system/{NAME}.service"
INIT_SCRIPT = f"/etc/init.d/{NAME}"

MOST_ROWS = 1000


@frozen
class Task:
    """One thing to install: the folder below :data:`TASKS` that holds its files, a command line run there, seconds."""

    name: str
    command: tuple[str, ...]
    seconds: int


@frozen
class TaskEnd:
    """What became of a task: its exit code, -1 where it had to be ended or its files were damaged; ``why`` says so.

    ``code`` is None where it began and nothing is known of its end: the guest was stopped meanwhile, or it still runs.
    """

    name: str
    code: int | None
    why: str = ""


@frozen
class FirstStart:
    """What the guest kept of its first start; times as the guest's clock had them, empty for none.

    Linux's are in UTC, Windows' in its own time and language. ``log`` is the guest path of what was printed.
    """

    started: str
    finished: str
    tasks: tuple[TaskEnd, ...]
    log: str = LOG


_HEAD = f"""\
#!/bin/sh
# Written by guestfix: installs what the operator brought, once, at the first start.
# The marker is made before anything else: whatever happens, there is no second run and no loop.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
DEBIAN_FRONTEND=noninteractive
export PATH LC_ALL DEBIAN_FRONTEND
umask 022
home={FOLDER}
kept=$home/started
mkdir "$kept" || exit 0
outcome=$kept/outcome
now() {{ date -u +%Y-%m-%dT%H:%M:%SZ; }}
echo "started $(now)" >"$outcome"
sync
exec </dev/null >"$kept/log" 2>&1

# Ends what works for longer than its time; looks once a second.
watch_over() {{
    left=$2
    while [ "$left" -gt 0 ]; do
        sleep 1
        kill -0 "$1" 2>/dev/null || return 0
        left=$((left - 1))
    done
    : >"$kept/late"
    kill -TERM "$3$1" 2>/dev/null
    sleep 10
    kill -KILL "$3$1" 2>/dev/null
}}

# NAME SECONDS COMMAND...
task() {{
    name=$1 seconds=$2
    shift 2
    echo "begin $name $(now)" >>"$outcome"
    sync
    echo "== $name: $*"
    if ! cd "$home/tasks/$name"; then
        code=damaged
    elif command -v sha256sum >/dev/null 2>&1 && ! sha256sum -c {DIGESTS}; then
        code=damaged
    else
        group=
        sign=
        command -v setsid >/dev/null 2>&1 && group=setsid sign=-
        $group "$@" &
        work=$!
        watch_over "$work" "$seconds" "$sign" &
        wait "$work"
        code=$?
        [ -e "$kept/late" ] && code=late
        rm -f "$kept/late"
    fi
    echo "end $name $code $(now)" >>"$outcome"
    sync
}}

"""

_UNIT = f"""\
# Written by guestfix.
[Unit]
Description=Install what guestfix brought, once
ConditionPathExists=!{MARKER}
After=multi-user.target cloud-final.service network-online.target
Before=apt-daily.service apt-daily-upgrade.service dnf-automatic.service packagekit.service

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT}

[Install]
WantedBy=multi-user.target
"""

_SYSV = f"""\
#!/bin/sh
# Written by guestfix.
# chkconfig: 2345 99 01
# description: Install what guestfix brought, once
### BEGIN INIT INFO
# Provides: {NAME}
# Required-Start: $local_fs
# Required-Stop:
# Should-Start: $all
# Default-Start: 2 3 4 5
# Default-Stop:
# Short-Description: Install what guestfix brought, once
### END INIT INFO
if [ "$1" = start ] && [ ! -e {MARKER} ]; then
    /bin/sh {SCRIPT} </dev/null >/dev/null 2>&1 &
fi
exit 0
"""

_OPENRC = f"""\
#!/sbin/openrc-run
# Written by guestfix.
description="Install what guestfix brought, once"

depend() {{
    need localmount
    after *
}}

start() {{
    [ -e {MARKER} ] || /bin/sh {SCRIPT} </dev/null >/dev/null 2>&1 &
    return 0
}}

stop() {{
    return 0
}}
"""

STARTERS = {
    "systemd": (UNIT, _UNIT, 0o644),
    "sysv": (INIT_SCRIPT, _SYSV, 0o755),
    "mountall": (INIT_SCRIPT, _SYSV, 0o755),
    "openrc": (INIT_SCRIPT, _OPENRC, 0o755),
}
"""What starts the script, by the fact fstab.init: a file's path, its text, its mode. upstart runs SysV's scripts."""


def script_of(tasks: Sequence[Task]) -> bytes:
    """Return the script that does the tasks one after the other, and keeps each one's exit code and a log."""
    lines = [shlex.join(("task", one.name, str(one.seconds), *one.command)) for one in tasks]
    return (_HEAD + "".join(f"{line}\n" for line in [*lines, 'echo "finished $(now)" >>"$outcome"'])).encode()


_TIME = r"(?P<time>[0-9T:Z-]{1,24})"
_ROW = regex(rf"(?P<what>started|finished) {_TIME}|begin (?P<begun>\S{{1,200}}) \S+|end (?P<ended>\S{{1,200}}) "
             r"(?P<code>[0-9]{1,3}|late|damaged) \S+")  # fmt: skip
_WHY = {"late": "it took longer than its time", "damaged": "its files are not those that were brought"}


def read_outcome(data: bytes) -> FirstStart:
    """Return what the script kept; lines that it does not write are passed over."""
    times = {"started": "", "finished": ""}
    tasks: dict[str, TaskEnd] = {}
    for line in data.decode("utf-8", "replace").split("\n")[:MOST_ROWS]:
        found = _ROW.fullmatch(line)
        if found is None:
            continue
        if found["what"]:
            times[found["what"]] = found["time"]
        elif found["begun"]:
            tasks[found["begun"]] = TaskEnd(found["begun"], None)
        else:
            why = _WHY.get(found["code"], "")
            tasks[found["ended"]] = TaskEnd(found["ended"], -1 if why else int(found["code"]), why)
    return FirstStart(times["started"], times["finished"], tuple(tasks.values()))
