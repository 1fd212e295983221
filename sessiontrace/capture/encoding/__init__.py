"""From any Python value to the bounded JSON bytes of a record."""
