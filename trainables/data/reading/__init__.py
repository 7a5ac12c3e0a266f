"""Files as they come: which belong to a data set, and what they hold, by stated rules."""
