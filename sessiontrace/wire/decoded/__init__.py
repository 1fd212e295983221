"""Received spans, decoded: protobuf's fields, and what the names of attributes are read as."""
