"""Backends that take OTLP at an address of their own: one module each has its ``VENDOR``."""
