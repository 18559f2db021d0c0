"""Station records: columns, daily calendar, quality control, and the split into training and held-out rows."""
