"""What journeys are known to suffer from: nine pitfalls, each measured, and consistency between channels."""
