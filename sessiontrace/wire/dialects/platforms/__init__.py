"""Platforms for evaluation and tracing whose SDKs write spans with names of their own.

Contains ``braintrust`` (Braintrust), ``confident`` (DeepEval, Confident AI) and ``tables``
(LangWatch, AgentOps, Laminar, Future AGI).
"""
