"""The arithmetic of the allocation: pure functions over frames.

No Django, no I/O, no clock, no settings. Quantities are exact (`decimal.Decimal`, `fractions.Fraction`, Python and
numpy integers); floats may filter candidates, never decide a unit.
"""
