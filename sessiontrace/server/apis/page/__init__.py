"""The API that the page reads."""
