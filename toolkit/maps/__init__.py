"""The whole journey on one sheet: stages and lanes, drawn, compared, and as text."""
