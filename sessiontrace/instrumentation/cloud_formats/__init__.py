"""The answers of Google's and Amazon's clouds, which are decoded JSON: whole and streamed."""
