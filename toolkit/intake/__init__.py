"""What an analyst hands in, read strictly and brought to canonical tables; what was doubtful about it is said."""
