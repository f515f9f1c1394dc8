"""What MkDocs is told of pages that do not stand in docs/: files of the project's top, and the commands' own help."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from guestfix.commands.help import usage, verbs_of
from guestfix.commands.names import COMMANDS
from guestfix.commands.parser import parser_for

ROOT = Path(__file__).resolve().parents[3]
ELSEWHERE = {
    "rules.md": "rules/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "reporting.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
"""A page of the site, and the file of the project that is its text."""
PAGES = {source: name for name, source in ELSEWHERE.items()}
DECISIONS = "decisions/index.md"

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand elsewhere, and one made of the parsers."""
    for name, source in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    files.append(File.generated(config, DECISIONS, content=decisions()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at what the site has: to another file of the project they become its name."""
    source = ROOT / ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return _LINK.sub(lambda found: _link(found, source, page.file, files), markdown)


def _link(found: re.Match[str], source: Path, page: File, files: Files) -> str:
    meant = (source.parent / found[1]).resolve()
    if not meant.exists() or not meant.is_relative_to(ROOT):
        raise PluginError(f"{source}: there is no {found[1]}")
    named = str(meant.relative_to(ROOT))
    target = files.get_file_from_path(PAGES.get(named, named.removeprefix("docs/")))
    if target is None:
        return f"] (`{named}`)"
    up = "../" * page.src_uri.count("/")
    return f"]({up}{target.src_uri}{found[2] or ''})"


def decisions() -> str:
    """Return a list of the decisions, by the titles that they begin with."""
    found = sorted((ROOT / "docs/decisions").glob("*.md"))
    titles = [(path.name, path.read_text().partition("\n")[0].removeprefix("# ")) for path in found]
    return "# Decisions\n\n" + "".join(f"- [{title}]({name})\n" for name, title in titles)


def commands() -> str:
    """Return the page of all commands: what --help prints of each, and of their own commands."""
    parts = ["# Commands\n", "What `--help` prints.\n", _block(usage())]
    for name in COMMANDS:
        parser = parser_for(name)
        parts += [f"## guestfix {name}\n", _block(parser.format_help())]
        for one, inner in verbs_of(parser).items():
            parts += [f"### guestfix {name} {one}\n", _block(inner.format_help())]
    return "\n".join(parts)


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"
