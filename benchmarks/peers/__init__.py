"""The same works in each library's own words: a module a library, a function a work.

A function prepares a work and returns a callable that does it once. Its result is a number by which
the libraries are checked against each other.
"""
