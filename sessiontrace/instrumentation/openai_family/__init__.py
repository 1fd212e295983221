"""What the SDKs of openai, anthropic and groq share: their generator and their formats."""
