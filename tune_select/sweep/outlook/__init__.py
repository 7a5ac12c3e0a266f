"""What a sweep will cost and when it may end: counted, forecast, and told while it runs."""
