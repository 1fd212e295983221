from typing import Any

from sessiontrace.wire.decoded.name_plan import PlainField
from sessiontrace.wire.received_span import Attributes

def plain_chat(attributes: Attributes, fields: tuple[PlainField, ...]) -> dict[str, Any] | None: ...
def encoded_chat(
    attributes: Attributes, fields: tuple[PlainField, ...]
) -> dict[str, Any] | None: ...
