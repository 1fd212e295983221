# /// script
# dependencies = ["logfire", "anthropic"]
# ///
"""Logfire's instrumentation of Anthropic's client, beside the client's own spans: streams, too."""

import os

# --8<-- [start:setup]
import logfire

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
logfire.configure(send_to_logfire=False, service_name="shop", console=False, scrubbing=False)
logfire.instrument_anthropic(suppress_other_instrumentation=False)
# --8<-- [end:setup]

from anthropic import Anthropic

client = Anthropic()
QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}
with logfire.set_baggage(**{"session.id": "chat-7", "user.id": "ada"}):
    with logfire.span("forecast for {city}", city="Oslo"):
        client.messages.create(model="ok", max_tokens=50, system="Be brief.", messages=[QUESTION])
        for _ in client.messages.create(
            model="ok", max_tokens=50, messages=[QUESTION], stream=True
        ):
            pass
    with client.messages.stream(model="ok", max_tokens=50, messages=[QUESTION]) as stream:
        stream.until_done()
logfire.force_flush()
