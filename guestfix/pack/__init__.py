"""Rule packs: their model, their loader, their condition language."""
