from sessiontrace.capture.envelope import step as step
from sessiontrace.capture.plain import look as look
from sessiontrace.capture.plain import quick as quick
from sessiontrace.capture.shapes import suspicious as suspicious
