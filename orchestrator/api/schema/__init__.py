"""What the API takes and answers, described once."""
