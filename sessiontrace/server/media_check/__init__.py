"""Whether a record may hold media, from its JSON."""
