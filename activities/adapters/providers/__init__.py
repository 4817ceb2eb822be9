"""Who has machines: your own, those of vendors, and containers of this machine."""
