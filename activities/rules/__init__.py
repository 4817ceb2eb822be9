"""Pure decisions of activities."""
