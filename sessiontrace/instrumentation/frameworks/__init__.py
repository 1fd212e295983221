"""The instrumentors of frameworks, which call the SDKs below them, one module each."""
