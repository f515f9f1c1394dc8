"""Tells hatchling the classifiers that are newer than its list: that of Debian 12 ends before Python 3.13."""

from __future__ import annotations

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ClassifiersHook(MetadataHookInterface):
    """hatchling's metadata hook (pyproject.toml)."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Leave the metadata as it is."""

    def get_known_classifiers(self) -> list[str]:
        """Return the classifiers of pyproject.toml that an older list lacks."""
        return [f"Programming Language :: Python :: 3.{minor}" for minor in (12, 13, 14)]
