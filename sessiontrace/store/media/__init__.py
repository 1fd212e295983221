"""Images, sounds and files beside a store's records, each once, by the SHA-256 of its bytes."""
