"""What our own spans say beyond the conventions, so that a reader gets the same record back."""
