"""What LlamaIndex's dispatcher reports, as a tree of events."""
