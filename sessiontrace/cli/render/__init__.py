"""Stored sessions and values as text, trees and HTML."""
