"""Who may ask: guards, tokens and API keys."""
