"""Stored sessions as text: trees and steps for people, and budgeted texts for coding agents."""
