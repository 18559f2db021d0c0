"""From station-days to the predictive distribution of tomorrow's tmax."""
