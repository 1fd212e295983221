"""Evaluation platforms whose SDKs take spans with names of their own.

Contains ``braintrust`` (Braintrust) and ``confident`` (DeepEval, Confident AI).
"""
