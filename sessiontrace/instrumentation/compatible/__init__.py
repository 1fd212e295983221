"""SDKs of other providers that speak OpenAI's API, one module each with its paths."""
