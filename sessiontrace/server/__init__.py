"""The local server: shows what the embedded store holds, to a browser on the same machine."""
