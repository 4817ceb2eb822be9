"""What a message shows: text, keyboard, progress. No I/O."""
