from sessiontrace.capture.encoding.fast_path import look as look
from sessiontrace.capture.encoding.fast_path import quick as quick
from sessiontrace.capture.encoding.record_body import step as step
from sessiontrace.capture.redaction.patterns import suspicious as suspicious
