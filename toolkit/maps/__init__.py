"""The whole journey on one sheet: touchpoints with their figures, channels, pitfalls, the journey map."""
