"""The documentation site: docs/ and the pages that stand elsewhere, made by MkDocs (`make docs`)."""
