"""The commands by name, and what each exit status means."""

from __future__ import annotations

COMMANDS: dict[str, str] = {
    "inspect": "show what is known about a guest, with the evidence",
    "report": "show what would change, why, and what stands in the way; writes nothing",
    "diff": "show every line that a plan or a report would change, of all files or some",
    "render": "show a saved plan in another form: text, HTML, Markdown, SARIF, JUnit XML, CSV",
    "apply": "make the changes, keeping every original",
    "fleet": "many guests in one run, and what came of them",
    "verify": "start a throw-away copy of a guest in QEMU with the target's hardware, and watch it come up",
    "revert": "undo every apply, from the journal inside the guest",
    "plan": "look at a saved plan, sign it, tell who signed it",
    "status": "show which applies are in a guest, whether they are finished, and what was changed since",
    "compat": "show the compatibility table, ask it about a system, compare two tables",
    "list": "list all facts, findings, ops, rules, targets, policies or systems, or some of them",
    "explain": "explain one of these by its name: what, why, source, what to do",
    "schema": "print the JSON Schema of a rule, system, target, case or disks file, for editors",
    "registry": "look into a Windows registry hive: ls, get, export",
    "rules": "write, check, cover, document and sign rules",
    "test": "run the cases of a rule pack",
    "backends": "show which ways to a guest work here, and what makes the others work",
    "case": "make a case from a guest: just the files that a run reads",
}
"""Name to one line of help; the module of the same name in :mod:`guestfix.commands` does the work."""

EXIT_DONE, EXIT_CHANGES, EXIT_BLOCKED, EXIT_RESTORED, EXIT_BROKEN, EXIT_STOPPED = range(6)
EXIT_USAGE, EXIT_BUG = 64, 70

EXITS = {
    EXIT_DONE: "nothing to do, or done",
    EXIT_CHANGES: "report --detailed-exitcode: changes are planned; test: a case failed; rules lint: a mistake; compat "
    "diff: the tables differ; verify: it did not come up, or is not reachable",
    EXIT_BLOCKED: "blocked: a finding, the guest's state or an unusable input forbids it; nothing was written; fleet "
    "run: a guest at least is blocked or failed",
    EXIT_RESTORED: "apply failed, and everything was put back as it was",
    EXIT_BROKEN: "apply or revert failed half way; run revert once the cause is fixed",
    EXIT_STOPPED: "apply or revert was stopped by a signal, and everything is as it was before",
    EXIT_USAGE: "the command line can't be used as given",
    EXIT_BUG: "a defect of guestfix itself",
}
"""What an exit status means."""
