"""Examples of each command, for its help and its man page. A test runs every one of them in a shell."""

from __future__ import annotations

from guestfix.base.record import frozen


@frozen
class Example:
    """A command line, as it is typed, and what it is for."""

    line: str
    says: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "inspect": (
        Example("guestfix inspect guest", "all that is known of the guest whose root is the folder guest"),
        Example("guestfix inspect disk.qcow2 --format json", "the same of a disk image, for a program"),
    ),
    "report": (
        Example("guestfix report guest --target aws-nitro", "what would change for EC2, and what stands in the way"),
        Example(
            "guestfix report disk.qcow2 --target kvm-virtio --format json > plan.json",
            "the plan for a disk image, to review it today and to apply it tomorrow",
        ),
        Example(
            "guestfix report guest --policy network=preserve --format html > report.html",
            "one page for a browser, with addresses that stay as they are",
        ),
    ),
    "diff": (
        Example("guestfix diff guest /etc/fstab --target aws-nitro", "what would become of one file"),
        Example("guestfix diff plan.json", "every line that a saved plan changes, in a pager"),
    ),
    "render": (
        Example("guestfix render plan.json --format markdown > ticket.md", "a saved plan as the text of a ticket"),
        Example("guestfix render plan.json --brief", "its first screen"),
    ),
    "apply": (
        Example("guestfix apply guest --target aws-nitro", "repair the guest in a folder"),
        Example(
            "guestfix apply disk.qcow2 --target kvm-virtio --output new.qcow2",
            "make a whole new image, and leave the old one as it is",
        ),
        Example("guestfix apply --plan plan.json guest", "do what was reviewed, if the guest is still as it was"),
    ),
    "fleet": (
        Example("guestfix fleet run inventory.yaml --target kvm-virtio", "report on every guest of an inventory"),
        Example("guestfix fleet list --outcome 'needs you'", "the guests of the newest run that wait for somebody"),
        Example("guestfix fleet show guest", "the whole document of one guest"),
        Example("guestfix fleet diff 1 2", "what the second run says otherwise than the first"),
        Example("guestfix fleet export tables", "the tables of the newest run as CSV, in a new folder"),
        Example("guestfix fleet rollup --format html > rollup.html", "the sums of the newest run, as one page"),
        Example("guestfix fleet export tables", "its tables as CSV, for a spreadsheet"),
    ),
    "verify": (
        Example("guestfix verify disk.qcow2 --target kvm-virtio", "start a copy, and tell which steps it reaches"),
        Example(
            "guestfix verify disk.qcow2 --target kvm-virtio --limit 300 --console console.txt",
            "five minutes at most, and keep what the guest wrote on its console",
        ),
    ),
    "revert": (
        Example("guestfix revert guest", "undo every apply, byte for byte"),
        Example("guestfix revert guest --force", "also where a file was changed since; that content is kept beside it"),
    ),
    "plan": (
        Example("guestfix plan show plan.json", "read a plan before it is signed"),
        Example("guestfix plan sign plan.json --key key", "sign it with an SSH key, into plan.json.sig"),
        Example("guestfix plan verify plan.json --allowed-signers allowed_signers", "tell who signed it"),
    ),
    "status": (
        Example("guestfix status guest", "which applies are in the guest, and which files were changed since"),
        Example("guestfix status disk.qcow2 --format json", "the same of a disk image, for a program"),
    ),
    "compat": (
        Example("guestfix compat list --verdict supported", "every supported system and kernel, with source and date"),
        Example("guestfix compat show windows-server-2019", "what the table says of one system"),
        Example("guestfix compat diff old.json new.json", "what differs between two saved tables"),
    ),
    "list": (
        Example("guestfix list targets", "the platforms that a guest can be prepared for"),
        Example("guestfix list findings 'GF-BOOT-*'", "some findings, by a pattern for their codes"),
        Example("guestfix list rules initramfs --format json", "rules whose name or title has this word"),
    ),
    "explain": (
        Example("guestfix explain GF-KERNEL-XEN", "what a finding means, and what to do about it"),
        Example("guestfix explain boot/default-entry", "why a rule is, what it changes, and where that is said"),
    ),
    "schema": (
        Example("guestfix schema rule > rule.schema.json", "what an editor checks a rule.yaml with"),
        Example("guestfix schema report", "the members of what guestfix report --format json prints"),
    ),
    "registry": (
        Example("guestfix registry ls SYSTEM", "the keys of a hive"),
        Example("guestfix registry get SYSTEM Select Current", "one value"),
        Example(
            "guestfix registry export SYSTEM 'ControlSet001\\Services' > services.reg",
            "a key and all below it, as text that regedit imports",
        ),
    ),
    "rules": (
        Example("guestfix rules new fix mounts/no-floppy --pack acme", "begin a rule of your own"),
        Example("guestfix rules lint acme", "every mistake of the pack in its line"),
        Example("guestfix rules coverage acme", "what no case of the pack shows"),
        Example("guestfix rules docs acme > acme.md", "the pack's reference, in Markdown"),
        Example("guestfix rules sign acme --key key", "vouch for the pack with an SSH key"),
        Example("guestfix rules verify acme --allowed-signers allowed_signers", "tell who vouches for it"),
    ),
    "test": (
        Example("guestfix test acme", "run every case of a pack"),
        Example("guestfix test acme/fix/mounts --bless", "write the golden reports of some cases, to be read then"),
    ),
    "backends": (
        Example("guestfix backends", "which ways to a guest are usable here"),
        Example("guestfix backends --format json", "the same for a program"),
    ),
    "case": (
        Example("guestfix case --from guest acme/fix/mounts/no-floppy/cases/real", "the files that a report reads"),
        Example(
            "guestfix case --from guest --only 'fstab/*' acme/fix/mounts/no-floppy/cases/small",
            "only those that some rules read",
        ),
    ),
}
"""For each command, at least two."""
