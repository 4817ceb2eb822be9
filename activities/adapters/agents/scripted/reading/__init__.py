"""What a person has asked for: from sentences and a specification to a wish."""
