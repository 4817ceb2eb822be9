"""What benchmarks measure against and with: flows and workers of their own."""
