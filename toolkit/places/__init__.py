"""Where customers meet us: the touchpoint map, the figure each touchpoint lives by, the use of several channels."""
