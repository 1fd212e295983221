"""Spans of records that differ from earlier ones only in ids, times and payloads.

Most records of a program repeat all their other fields byte for byte: the name of the step, its
type, its source, its model, its tags. Their spans then repeat all attributes, too. ``SpanEncoder``
writes the span of such a record into a template, which it made of an earlier record with the same
fields; any other record takes the whole way through ``span_writer``.
"""
