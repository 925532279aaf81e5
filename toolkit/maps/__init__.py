"""The whole journey on one sheet: the journey map, and the pitfalls on the way."""
