"""Values that a producer sent as Python shows them, in place of JSON.

Contains ``fields`` (an object's fields) and ``unset`` (placeholders of SDKs).
"""
